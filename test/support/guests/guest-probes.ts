/**
 * The attacks of a hostile guest, as shell functions for a step of the tiny image. Each prints `NAME: open` or `NAME:
 * closed`. The step's own log arrives through the runner endpoint, so a probe that cuts the guest off must restore
 * its network.
 */
export const probeFunctions = `
GW=$(ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p')
ME=$(ip -4 addr show eth0 | sed -n 's/.*inet \\([0-9.]*\\).*/\\1/p')
NET=\${GW%.*}
MAC=$(cat /sys/class/net/eth0/address)

# say NAME COMMAND...: whether the command succeeds. Several may run in the background.
say() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "$name: open"; else echo "$name: closed"; fi; }

# http ADDRESS [SECONDS]: any HTTP answer is an answer, also a refusal.
http() {
  answer=$(timeout "\${2:-6}" wget -q -O /dev/null "http://$1/" 2>&1) && return 0
  case $answer in *'server returned error'*) return 0 ;; esac
  return 1
}

# A name server that refuses has answered.
dns() {
  answer=$(nslookup localhost "$GW" 2>&1) && return 0
  case $answer in *'timed out'* | *'no servers'*) return 1 ;; esac
}

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
pretend() { identity "$2" "$3"; say "$1" http "$RUNNER" 4; identity "$MAC" "$ME"; }
`;
