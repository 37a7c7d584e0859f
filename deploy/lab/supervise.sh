#!/bin/sh
# Keeps one program running on a lab machine, as systemd's Restart=always would. Only the program itself is started
# again: what it left behind (containers and their shims) is adopted by the machine's init and lives on. One that has ended
# ten times within moments of its start rests longer.
# usage: supervise.sh PROGRAM COMMAND...
program=$1
shift
log=/var/lib/gantry/log/$program.log
mkdir -p /var/lib/gantry/log
short=0
while :; do
  started=$(date +%s)
  size=$(stat -c %s "$log" 2>/dev/null || echo 0)
  if [ "$size" -gt 50000000 ]; then mv -f "$log" "$log.1"; fi
  "$@" >>"$log" 2>&1 &
  wait $!
  status=$?
  if [ $(($(date +%s) - started)) -lt 5 ]; then short=$((short + 1)); else short=0; fi
  if [ "$short" -gt 10 ]; then pause=2; else pause=0.2; fi
  echo "{\"level\":40,\"name\":\"supervise\",\"msg\":\"$program ended with status $status; started again in $pause s\"}" >>"$log"
  sleep $pause
done
