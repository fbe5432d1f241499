#!/bin/sh
# SPDX-License-Identifier: MIT
# The engine's thread inside nginx workers: 100 reloads with requests in flight, then QUIT and TERM with requests in flight. It fails on
# a lost reply, on a worker that dies or does not end, on descriptors, threads or memory that reloads add, and on any line of level error or above in nginx's log. Needs no root; about half a minute.
#   BUILD=build spec/nginx/reload_test.sh [RELOADS]
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
build=${BUILD:-build}
case "$build" in /*) ;; *) build=$root/$build ;; esac
reloads=${1:-100}
folder=$(mktemp -d)
upstream=
load=
finish() {
  status=$?
  [ -z "$load" ] || kill "$load" 2>/dev/null || true
  [ ! -f "$folder/nginx.pid" ] || kill -TERM "$(cat "$folder/nginx.pid")" 2>/dev/null || true
  exec 9>&- # the upstream ends with its stdin
  [ -z "$upstream" ] || wait "$upstream" 2>/dev/null || true
  rm -rf "$folder"
  exit "$status"
}
trap finish EXIT
trap 'exit 1' INT TERM

fail() {
  echo "reload_test: $*" >&2
  [ ! -f "$folder/error.log" ] || grep -v '\[notice\]' "$folder/error.log" | tail -n 20 >&2
  exit 1
}

# The upstream that is called, and a free port for nginx (the upstream's kernel picked one that is free; so does a second one).
mkfifo "$folder/fifo" "$folder/fifo2"
"$build/spec/raw_server" "$folder/upstream.log" <"$folder/fifo" &
upstream=$!
exec 9>"$folder/fifo"
"$build/spec/raw_server" "$folder/second.log" <"$folder/fifo2" &
second=$!
exec 8>"$folder/fifo2"
tries=0
while [ ! -s "$folder/upstream.log" ] || [ ! -s "$folder/second.log" ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ] || fail "the upstream does not start"
  sleep 0.05
done
upstream_port=$(sed -n 's/^P \([0-9]*\) .*/\1/p' "$folder/upstream.log")
port=$(sed -n 's/^P \([0-9]*\) .*/\1/p' "$folder/second.log")
exec 8>&-
wait "$second"

mkdir "$folder/temp"
user=
[ "$(id -u)" -ne 0 ] || user="user $(id -un);"
cat >"$folder/nginx.conf" <<CONF
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
$user
daemon on;
worker_processes 2;
env TMPDIR=$folder/sockets;
pid $folder/nginx.pid;
error_log $folder/error.log notice;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path $folder/temp; proxy_temp_path $folder/temp; fastcgi_temp_path $folder/temp;
  uwsgi_temp_path $folder/temp; scgi_temp_path $folder/temp;
  lua_package_path "$root/lua/?.lua;$root/lua/?/init.lua;$root/spec/?.lua;;";
  lua_package_cpath "$build/luajit/?.so;;";
  server {
    listen 127.0.0.1:$port backlog=4096;
    set \$upstream_port $upstream_port;
    location /call { content_by_lua_block { require("nginx.reload_handler").handle() } }
  }
}
CONF

mkdir "$folder/sockets"
[ "$(id -u)" -ne 0 ] || chmod 777 "$folder" "$folder/sockets" # workers may be others than root

start_nginx() {
  nginx -e "$folder/error.log" -p "$folder" -c "$folder/nginx.conf" || fail "nginx does not start"
  tries=0
  while [ ! -s "$folder/nginx.pid" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || fail "nginx writes no pid"
    sleep 0.02
  done
}

signal_nginx() { kill -"$1" "$(cat "$folder/nginx.pid")"; }

wait_gone() {
  tries=0
  while [ -f "$folder/nginx.pid" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 250 ] || fail "nginx did not end after $1"
    sleep 0.02
  done
}

run_load() {
  LUA_PATH="$root/lua/?.lua;$root/lua/?/init.lua;;" LUA_CPATH="$build/luajit/?.so;;" \
    luajit "$root/spec/nginx/load.lua" "$port" "$@" >"$folder/load.out" 2>"$folder/load.err" &
  load=$!
}

check_load() {
  wait "$load" || fail "the load program failed: $(cat "$folder/load.err")"
  load=
  read -r sent replies wrong <"$folder/load.out"
  echo "  $1: $sent requests, $replies replies, $wrong wrong or lost"
  [ "$wrong" -eq 0 ] && [ "$sent" -eq "$replies" ] || fail "lost replies during $1: $(cat "$folder/load.err")"
}

check_log() {
  if grep -E 'signal 11|exited on signal|\[(alert|crit|emerg|error)\]' "$folder/error.log" >&2; then
    fail "nginx's error log has the lines above, after $1"
  fi
}

# What the master has: descriptors, threads, kilobytes; each worker is forked from it, so what it leaks all have.
measure_master() {
  master=$(cat "$folder/nginx.pid")
  echo "$(ls "/proc/$master/fd" | wc -l) $(awk '/^Threads/ { print $2 }' "/proc/$master/status") $(awk '/^VmRSS/ { print $2 }' "/proc/$master/status")"
}

# Workers and sockets of workers that left are gone, and the master has grown by nothing that each reload would add to.
check_leaks() {
  tries=0
  master=$(cat "$folder/nginx.pid")
  while [ "$(wc -w <"/proc/$master/task/$master/children")" -gt 2 ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 500 ] || fail "workers that were replaced do not end"
    sleep 0.02
  done
  read -r fds threads memory <<MASTER
$(measure_master)
MASTER
  echo "  master after 10 reloads, and in the end: descriptors $first_fds, $fds; threads $first_threads, $threads; kB $first_memory, $memory"
  [ "$fds" -le "$first_fds" ] && [ "$threads" -le "$first_threads" ] || fail "reloads leak descriptors or threads"
  [ "$memory" -le $((first_memory + 4096)) ] || fail "reloads leak memory"
  left=$(find "$folder/sockets" -mindepth 1 | wc -l)
  [ "$left" -eq 0 ] || fail "$left paths of sockets were left behind"
}

echo "reload_test: nginx on 127.0.0.1:$port, upstream on $upstream_port, $reloads reloads"
start_nginx
run_load 16 20 "$folder/stop"
sleep 0.3
done_reloads=0
while [ "$done_reloads" -lt "$reloads" ]; do
  signal_nginx HUP
  done_reloads=$((done_reloads + 1))
  sleep 0.12
  if [ "$done_reloads" -eq 10 ] || [ "$done_reloads" -eq "$reloads" ] && [ -z "${first_fds:-}" ]; then
    read -r first_fds first_threads first_memory <<MASTER
$(measure_master)
MASTER
  fi
done
: >"$folder/stop"
check_load "$reloads reloads"
check_log "$reloads reloads"
check_leaks
workers=$(grep -c 'gracefully shutting down' "$folder/error.log" || true)
echo "  $workers workers were replaced while requests were in flight"
[ "$workers" -ge "$reloads" ] || fail "only $workers workers were replaced: the reloads did not happen"

# What no worker has accepted yet, QUIT may drop: all must be in the upstream's hands. Those that are slow to come find it answered already.
commits=$(grep -c '^R ' "$folder/upstream.log")
run_load 32 300 "$folder/stop" 32
tries=0
while [ "$(grep -c '^R ' "$folder/upstream.log")" -lt $((commits + 32)) ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 1000 ] || fail "the requests do not reach the upstream"
  sleep 0.02
done
signal_nginx QUIT
check_load "QUIT"
wait_gone QUIT
check_log QUIT

start_nginx
rm -f "$folder/stop"
run_load 32 2000 "$folder/stop" 32
sleep 0.3
signal_nginx TERM
wait_gone TERM
wait "$load" || true # TERM drops clients by design: their replies are lost, the worker must still end cleanly
load=
check_log TERM
echo "  TERM: nginx ended with 32 requests in flight"
commits=$(grep -c '^R ' "$folder/upstream.log")
echo "reload_test: ok ($commits requests reached the upstream)"
