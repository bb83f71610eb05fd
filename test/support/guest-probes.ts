/**
 * What a hostile guest tries, as shell functions for a step of the tiny image. Each prints `NAME: open` or `NAME: closed`.
 * The step's own log arrives through the runner endpoint, so that a probe that cuts the guest off must mend it again.
 */
export const probeFunctions = `
GW=$(ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p')
ME=$(ip -4 addr show eth0 | sed -n 's/.*inet \\([0-9.]*\\).*/\\1/p')
MAC=$(cat /sys/class/net/eth0/address)

# say NAME COMMAND...: whether the command succeeds.
say() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "$name: open"; else echo "$name: closed"; fi; }

# Any HTTP answer is an answer, also a refusal.
http() {
  timeout 4 wget -q -O /dev/null "http://$1/" 2>/tmp/wget-said && return 0
  grep -q 'server returned error' /tmp/wget-said
}

# A name server that says no has answered.
dns() { nslookup localhost "$GW" >/tmp/dns-said 2>&1 || ! grep -q 'timed out\\|no servers' /tmp/dns-said; }

dhcp() { udhcpc -i eth0 -n -q -t 3 -T 2 -s /bin/true; }

# identity MAC ADDRESS: takes them.
identity() {
  ip link set eth0 down
  ip link set eth0 address "$1"
  ip link set eth0 up
  ip addr flush dev eth0
  ip addr add "$2/24" dev eth0
  ip route replace default via "$GW"
}

# pretend NAME MAC ADDRESS: whether the runner endpoint answers one who has them.
pretend() { identity "$2" "$3"; say "$1" http "$RUNNER"; identity "$MAC" "$ME"; }
`;
