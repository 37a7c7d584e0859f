#!/bin/sh
# Keeps one program running on a lab machine, as systemd's Restart=always would. Only the program itself is started
# again: what it left behind (containers and their shims) is adopted by the machine's init and lives on.
# usage: supervise.sh PROGRAM COMMAND...
program=$1
shift
log=/var/lib/gantry/log/$program.log
mkdir -p /var/lib/gantry/log
while :; do
  size=$(stat -c %s "$log" 2>/dev/null || echo 0)
  if [ "$size" -gt 50000000 ]; then mv -f "$log" "$log.1"; fi
  "$@" >>"$log" 2>&1 &
  wait $!
  echo "{\"level\":40,\"name\":\"supervise\",\"msg\":\"$program ended with status $?; started again in 200 ms\"}" >>"$log"
  sleep 0.2
done
