#!/bin/sh
# Prepares a bare Debian 12 host for Solstice: packages, /dev/kvm, libvirtd, the libvirt network `default`.
# Idempotent: on a prepared host it changes nothing and takes well under a second. Several copies may run at once.
#
# Usage: setup-host.sh [--check] [--tests] [--quiet]
#   --check   only report what is missing
#   --tests   also prepare for the test suite
#   --quiet   print only a line for each step that takes time, and errors; print nothing on a prepared host
# Exit: 0 ready; 1 something is missing (--check) or could not be repaired; 2 wrong option; 3 not root or not Debian.
set -eu

# The packages that run a guest; sufficient without apt's recommendations.
host_packages="libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients libvirt-daemon-config-network
  qemu-system-x86 qemu-utils genisoimage dnsmasq-base iproute2 iptables nftables git ca-certificates"
# The packages that build the guest images under images/. The guests' kernel and busybox are unpacked there, never installed here.
image_packages="mmdebstrap syslinux syslinux-common mtools dosfstools e2fsprogs kmod cpio zstd xz-utils"
# The packages for tests only: programs of guests (procps: ps, pkill; the shells of other systems), an assembler for the KVM
# probe, a gRPC client in another language, and the broker, database and reverse proxy that tests start on their own ports.
test_packages="shellcheck binutils busybox bzip2 curl nginx openssl procps wget xorriso rabbitmq-server postgresql systemd
  ksh93u+m lz4 mksh python3-grpcio python3-protobuf python3-swift sqlite3"

lock_file=/run/lock/solstice-setup-host.lock
lock_wait_seconds=900
apt_lock_wait_seconds=300
libvirtd_wait_seconds=60
apt_lists_max_age_days=7
network_name=default
uri=qemu:///system

check_only=no
quiet=no
packages="$host_packages $image_packages"
script_arguments=

# Prints the beginning of a step that takes time, also with --quiet.
begin() { printf '==> %s\n' "$*"; }

# Prints a line for people, except with --quiet.
say() { [ "$quiet" = yes ] || printf '%s\n' "$*"; }

# Prints an error and ends.
fail() {
  printf 'setup-host: %s\n' "$*" >&2
  exit 1
}

parse_options() {
  script_arguments=$*
  for option in "$@"; do
    case $option in
      --check) check_only=yes ;;
      --tests) packages="$packages $test_packages" ;;
      --quiet) quiet=yes ;;
      *)
        printf 'setup-host: unknown option %s; needs --check, --tests or --quiet\n' "$option" >&2
        exit 2
        ;;
    esac
  done
}

# Prints the packages that are not installed, one on each line.
missing_packages() {
  # shellcheck disable=SC2086  # a list of words is meant
  dpkg-query -W -f '${db:Status-Status} ${Package}\n' $packages 2>/dev/null |
    awk -v wanted="$packages" '
      $1 == "installed" { have[$2] = 1 }
      END { n = split(wanted, names, /[ \n]+/); for (i = 1; i <= n; i++) if (names[i] && !have[names[i]]) print names[i] }'
}

# True when /dev/kvm exists and the QEMU user, a member of group kvm, cannot open it.
kvm_needs_repair() {
  [ -c /dev/kvm ] || return 1
  case $(stat -c '%G %a' /dev/kvm) in
    "kvm 660" | "kvm 666" | *" 666") return 1 ;;
  esac
}

libvirtd_answers() { virsh -q -c "$uri" uri </dev/null >/dev/null 2>&1; }

# Prints "active autostart", each word yes or no; nothing when the network is not defined.
network_state() {
  LC_ALL=C virsh -q -c "$uri" net-info "$network_name" </dev/null 2>/dev/null |
    awk '$1 == "Active:" { active = $2 } $1 == "Autostart:" { auto = $2 } END { if (active) print active, auto }'
}

# Prints the missing parts, one on each line; nothing on a prepared host.
what_is_missing() {
  missing=$(missing_packages)
  # shellcheck disable=SC2086
  [ -z "$missing" ] || echo "packages:" $missing
  ! kvm_needs_repair || echo "group kvm cannot open /dev/kvm (needs mode 0660)"
  if ! libvirtd_answers; then
    echo "libvirtd does not answer at $uri"
  elif [ "$(network_state)" != "yes yes" ]; then
    echo "libvirt network $network_name is not active and autostarted"
  fi
}

# Without root or apt-get: prints the command to run instead, and exits.
hand_over_unless_able() {
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "Not Debian: install libvirt (qemu driver, clients), qemu-system-x86_64, qemu-img, genisoimage, dnsmasq, nftables and git, then: systemctl enable --now libvirtd && virsh net-autostart default && virsh net-start default"
    exit 3
  fi
  if [ "$(id -u)" -ne 0 ]; then
    script=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
    echo "sudo sh $script${script_arguments:+ $script_arguments}"
    exit 3
  fi
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -y -o "DPkg::Lock::Timeout=$apt_lock_wait_seconds" -o Dpkg::Use-Pty=0 \
    "$@" </dev/null 9>&-
}

# Updates old or missing package lists, which name files that the mirror no longer has.
update_lists_when_old() {
  [ -z "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mtime "-$apt_lists_max_age_days" 2>/dev/null |
    head -n 1)" ] || return 0
  update_lists
}

update_lists() {
  begin "updating the package lists"
  apt_get update >/dev/null || fail "apt-get update failed: check the network and /etc/apt/sources.list"
}

# Installs the given packages. Prints a line for each configured package, with --quiet for every twentieth.
# The pipe hides apt-get's exit status, so a file carries it.
apt_install() {
  status_file=$(mktemp)
  log_file=$(mktemp)
  {
    apt_get install --no-install-recommends "$@" 2>&1 || echo failed >"$status_file"
  } | tee "$log_file" | awk -v quiet="$quiet" '
      BEGIN { every = quiet == "no" ? 1 : 20 }
      /newly installed/ { total = $3 }
      /^Need to get / { sub(/^Need to get /, ""); sub(/ of archives.*/, ""); print "    downloading " $0; fflush() }
      /^Setting up / && ++done % every == 0 { printf "    %d/%d %s\n", done, total, $3; fflush() }'
  status=$(cat "$status_file")
  [ -z "$status" ] || tail -n 15 "$log_file" >&2
  rm -f "$status_file" "$log_file"
  [ -z "$status" ]
}

install_packages() {
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  update_lists_when_old
  # shellcheck disable=SC2086
  if [ "$quiet" = yes ]; then begin "installing packages: $(echo $missing | wc -w)"; else begin installing $missing; fi
  # shellcheck disable=SC2086
  apt_install $missing && return 0
  # Lists of less than a week may still be older than the mirror.
  update_lists
  # shellcheck disable=SC2086
  apt_install $missing || fail "apt-get could not install the packages; see its last lines above"
}

# Without udev, /dev/kvm stays root:root 0600. libvirt 9.0 then probes QEMU again about 12 times for each define (10 s instead
# of 30 ms), because root can open /dev/kvm and the QEMU user cannot.
repair_kvm() {
  kvm_needs_repair || return 0
  begin "giving /dev/kvm to group kvm, as udev does"
  getent group kvm >/dev/null || groupadd --system kvm
  if ! chgrp kvm /dev/kvm || ! chmod 0660 /dev/kvm; then
    say "    no permission: guests will run under software emulation"
  fi
}

# True when the daemon's pid file names a running process of that name.
daemon_runs() {
  pid=$(cat "/run/$1.pid" 2>/dev/null) || return 1
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ]
}

# Starts a daemon that forks. The daemon must not inherit the lock (fd 9), or later copies of this script could not take it.
start_daemon() {
  daemon_runs "$1" && return 0
  begin "starting $1"
  "$1" -d 9>&- || daemon_runs "$1" || fail "$1 did not start; run '$1' in the foreground to see the error"
}

wait_for_libvirtd() {
  deadline=$(($(date +%s) + libvirtd_wait_seconds))
  until libvirtd_answers; do
    [ "$(date +%s)" -lt "$deadline" ] ||
      fail "libvirtd does not answer at $uri after $libvirtd_wait_seconds s; see 'virsh -c $uri uri' and /var/log/libvirt"
    sleep 0.2
  done
}

start_libvirtd() {
  libvirtd_answers && return 0
  if [ -d /run/systemd/system ]; then
    begin "starting libvirtd"
    systemctl enable --now libvirtd 9>&- || fail "systemctl enable --now libvirtd failed; see 'journalctl -u libvirtd'"
  else
    start_daemon virtlogd
    start_daemon libvirtd
  fi
  wait_for_libvirtd
}

define_network() {
  for file in "/etc/libvirt/qemu/networks/$network_name.xml" "/usr/share/libvirt/networks/$network_name.xml"; do
    [ -r "$file" ] || continue
    begin "defining network $network_name"
    virsh -q -c "$uri" net-define "$file" && return 0
  done
  fail "no definition of network $network_name found; install libvirt-daemon-config-network"
}

# Redefines the network with subnet 192.168.$1.0/24 and without dnsmasq's ping before each DHCP lease. That ping checks for
# another machine with the new address, waits 3 s for an answer, and so would delay every guest by 3 s.
# dhcp-ignore-clid: dnsmasq identifies a guest by its hardware address, which our firewall checks, and not by a client id, which
# a guest could copy from another.
redefine_network() {
  definition=$(virsh -c "$uri" net-dumpxml --inactive "$network_name")
  case $definition in
    *no-ping*) ;;
    *)
      definition=$(printf '%s\n' "$definition" | sed \
        -e "s|<network[^>]*>|<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>|" \
        -e "s|</network>|<dnsmasq:options><dnsmasq:option value='no-ping'/><dnsmasq:option value='dhcp-ignore-clid'/></dnsmasq:options></network>|")
      ;;
  esac
  printf '%s\n' "$definition" | sed -E "s/192\.168\.12[2-5]\./192.168.$1./g" |
    virsh -q -c "$uri" net-define /dev/stdin >/dev/null
}

# Starts the network. If this host is itself a guest with an address in libvirt's usual 192.168.122.0/24, uses a free subnet.
start_network() {
  for subnet in 122 123 124 125; do
    [ "$subnet" = 122 ] || say "    192.168.122.0/24 is in use here: trying 192.168.$subnet.0/24"
    redefine_network "$subnet"
    message=$(LC_ALL=C virsh -q -c "$uri" net-start "$network_name" 2>&1) && return 0
    case $message in
      *"already active"*) return 0 ;;
      *"already in use"*) ;;
      *) break ;;
    esac
  done
  fail "network $network_name did not start: $message"
}

set_up_network() {
  state=$(network_state)
  [ "$state" != "yes yes" ] || return 0
  [ -n "$state" ] || define_network
  virsh -q -c "$uri" net-autostart "$network_name" >/dev/null
  case $state in
    yes*) ;;
    *)
      begin "starting network $network_name"
      start_network
      ;;
  esac
}

main() {
  parse_options "$@"
  missing=$(what_is_missing)
  if [ -z "$missing" ]; then
    say "host is ready"
    exit 0
  fi
  if [ "$check_only" = yes ]; then
    printf 'missing: %s\n' "$missing"
    exit 1
  fi
  hand_over_unless_able
  mkdir -p "$(dirname "$lock_file")"
  exec 9>"$lock_file"
  flock -w "$lock_wait_seconds" 9 || fail "another copy of this script has held $lock_file for $lock_wait_seconds s"
  install_packages
  repair_kvm
  start_libvirtd
  set_up_network
  say "host is ready"
}

main "$@"
