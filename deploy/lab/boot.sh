#!/bin/sh
# The first process of a lab machine, in its own mount, pid, net, uts and ipc namespaces: makes the machine's view of
# the file system, waits until its network cable is plugged in, then becomes the machine's init.
# usage: boot.sh HOSTNAME CLONE MACHINE_DIR STATE_ROOT PROGRAM COMMAND...
set -eu
hostname=$1 clone=$2 machine=$3 state_root=$4 program=$5
shift 5

hostname "$hostname"
mount -t proc proc /proc
mount --bind "$machine/data" /var/lib/gantry
for file in hosts hostname resolv.conf; do
  # A symbolic link (systemd-resolved) would lead into /run, which is about to be covered.
  if [ -L "/etc/$file" ] || [ ! -e "/etc/$file" ]; then continue; fi
  mount --bind "$machine/etc/$file" "/etc/$file"
done

# Private /run and /tmp. A clone that lives in one of them is carried over: its folder is held as the working
# directory while the new tmpfs covers it.
cd "$clone"
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
if [ ! -e "$clone/deploy/lab/boot.sh" ]; then
  mkdir -p "$clone"
  mount --no-canonicalize --bind . "$clone"
fi
mkdir -p /run/lock
# skopeo keeps a cache of its own here, wherever its store is; it is the machine's, not the host's.
mount -t tmpfs -o mode=700,size=64m tmpfs /var/lib/containers
# systemd-resolved's link leads to a file we now own.
if [ -L /etc/resolv.conf ]; then
  target=$(readlink -m /etc/resolv.conf)
  case $target in /run/*) mkdir -p "${target%/*}" && cp "$machine/etc/resolv.conf" "$target" ;; esac
fi
cd /
# The other machines' data is not on this machine.
mount -t tmpfs -o mode=700,size=4k tmpfs "$state_root"

# Nobody says "go" when whoever boots us died on the way: then this machine ends.
read -r word
[ "$word" = go ]
ip link set lo up
exec </dev/null
exec tini -- /bin/sh "$clone/deploy/lab/supervise.sh" "$program" "$@"
