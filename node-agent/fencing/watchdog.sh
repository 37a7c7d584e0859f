# The watchdog of a node: kills the pods that must not run twice when their deadline is over (watchdog.ts says when and why).
#
# A program of its own, because it must go on when the agent is dead or stands still; in bash, because that is part of every
# Debian, does all of this without a child process, and takes 2 MB where another node process would take 40.
#
# In the folder $1, whole files each, made by renaming:
#   lease        when the newest acknowledged heartbeat was sent
#   pods/UID     first line: how long after that the pod may run; further lines: its cgroup's folders
#   fenced/UID   made here before the pod is killed; holds the time when nothing of it was left
#   watchdog     PID:START of the watchdog that counts; another one ends
# All times are milliseconds of CLOCK_BOOTTIME, which is what /proc/uptime shows.
shopt -s nullglob globstar
export LC_ALL=C

# No deadline is shorter (lib/model/fencing.ts): until then no file but the lease is read.
shortest=5000
pause=0.1

announce() {
  local stat fields
  read -r stat < "/proc/$$/stat"
  read -ra fields <<< "${stat##*) }"
  self=$$:${fields[19]}
  echo "$self" > ".watchdog.$$" && mv -f ".watchdog.$$" watchdog
}

# It must be heard when the node is overloaded or out of memory.
insist() {
  chrt --fifo --pid 10 $$ || renice --priority -20 --pid $$
  echo -1000 > "/proc/$$/oom_score_adj"
}

# SIGKILL to all in the cgroups; no new process can be made there. True when nothing was left.
strike() {
  local dir file pids pid left=0
  for dir; do
    [[ -w $dir/pids.max ]] && echo 0 > "$dir/pids.max"
    [[ -w $dir/cgroup.kill ]] && echo 1 > "$dir/cgroup.kill"
    for file in "$dir"/**/cgroup.procs; do
      mapfile -t pids < "$file"
      for pid in "${pids[@]}"; do
        if ((pid > 1)); then
          left=1
          kill -KILL "$pid"
        fi
      done
    done
  done
  return "$left"
}

look() {
  local uptime now lease=0 pod uid lines
  read -r uptime _ < /proc/uptime
  now=$((10#${uptime/./}0))
  read -r lease < lease
  [[ $lease =~ ^[1-9][0-9]*$ ]] || lease=0
  # What lies ahead is of no clock we know; the grain of this one is 10 ms.
  ((lease <= now + 100)) || lease=0
  pause=0.1
  local fenced=(fenced/*)
  if ((now - lease < shortest && ${#fenced[@]} == 0)); then return; fi
  for pod in pods/*; do
    uid=${pod#pods/}
    mapfile -t lines < "$pod"
    if [[ ! -e fenced/$uid ]]; then
      ((now - lease >= lines[0])) || continue
      : > "fenced/$uid"
    fi
    if strike "${lines[@]:1}"; then
      [[ -s fenced/$uid ]] || echo "$now" > "fenced/$uid"
    else
      pause=0.01
    fi
  done
}

# Read as a whole before it runs: the file may be replaced meanwhile.
main() {
  local current=
  cd "$1" || exit 1
  exec 2> /dev/null {never}<> <(:)
  announce
  insist
  while read -r current < watchdog && [[ $current == "$self" ]]; do
    look
    read -r -t "$pause" -u "$never"
  done
  exit 0
}

main "$@"
