import type { StaticNetwork } from "../../core/job/guest.ts";

/**
 * Returns a network as network-config of version 2, with `gateway4`, which every version of cloud-init reads. The
 * layout of the lines is fixed: the tiny guest (images/tiny) reads them with sed.
 */
export function networkConfigVersion2({
  macAddress,
  address,
  prefix,
  gateway,
  nameservers,
}: StaticNetwork): string {
  return `version: 2
ethernets:
  net0:
    match: {macaddress: "${macAddress}"}
    addresses: [${address}/${prefix}]
    gateway4: ${gateway}
    nameservers: {addresses: [${nameservers.join(", ")}]}
`;
}

/**
 * Returns a network as network-config of version 1, which cloud-init reads too, and the only version that
 * illumos/metadata-agent supports (src/provider/nocloud.rs; the agent rejects unknown keys).
 */
export function networkConfigVersion1({
  macAddress,
  address,
  prefix,
  gateway,
  nameservers,
}: StaticNetwork): string {
  return `version: 1
config:
  - type: physical
    name: net0
    mac_address: "${macAddress}"
    subnets:
      - type: static
        address: ${address}/${prefix}
        gateway: ${gateway}
        dns_nameservers: [${nameservers.join(", ")}]
`;
}

/**
 * Returns shell commands that give an illumos guest its address (dladm(8), ipadm(8), route(8)). The metadata of an
 * archive can only make metadata-agent leave the network unchanged, so the archive's script sets it up; all commands
 * are idempotent. A guest without dladm is not illumos, and configures its network itself.
 */
export function illumosNetworkScript({
  macAddress,
  address,
  prefix,
  gateway,
  nameservers,
}: StaticNetwork): string {
  return `if command -v dladm >/dev/null 2>&1; then
# The card's address is written without leading zeros there.
card=$(dladm show-phys -m -p -o link,address | tr -d '\\\\' |
  awk -F : '{
    found = ""
    for (at = 2; at <= 7; at++) found = found (at > 2 ? ":" : "") (length($at) < 2 ? "0" : "") $at
    if (found == "${macAddress}") { print $1; exit }
  }')
[ -n "$card" ] || fail "no network card has the address ${macAddress}"
ipadm show-if "$card" >/dev/null 2>&1 || ipadm create-if "$card" || fail "no interface on $card"
ipadm show-addr "$card/v4" >/dev/null 2>&1 || ipadm create-addr -T static -a ${address}/${prefix} "$card/v4" ||
  fail "$card does not take the address ${address}"
route -n get default 2>/dev/null | grep -q '${gateway.replaceAll(".", "\\.")}$' || route add default ${gateway} ||
  fail "no route by ${gateway}"
printf '%s\\n' ${nameservers.map((server) => `'nameserver ${server}'`).join(" ") || "''"} >/etc/resolv.conf
fi
`;
}
