# SPDX-License-Identifier: MIT
# The servers of real/run.sh (sourced): started on sockets in the work
# directory (nginx on loopback), spoken to by a client on the system malloc, checked to have the
# library mapped, stopped by PID.

# serve COMMAND...: start in the background, $server_pid is its PID.
serve() {
    if [ -n "$on_tide" ]; then
        LD_PRELOAD="$TIDE_LIB" TIDE_CONF="${TIDE_TEST_CONF:-}" "$@" >server.log 2>&1 &
    else
        "$@" >server.log 2>&1 &
    fi
    server_pid=$!
    server_pids+=("$server_pid")
}

# server_is_ours PID: the library must be in the server's maps when it should be.
server_is_ours() {
    [ -n "$on_tide" ] || return 0
    grep -qF "$TIDE_LIB" "/proc/$1/maps" || { echo "library not mapped in $1" >&2; return 1; }
    echo yes >"$t_tmp/mapped"
}

# must_not_say FILE PATTERN
must_not_say() {
    if grep -E "$2" "$1" >&2; then return 1; fi
}

wait_until() {
    for _ in {1..100}; do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    echo "server did not come up: $*" >&2
    tail -n 20 server.log >&2
    return 1
}

# The server must end by itself on SIGTERM, with status 0 where it promises that, and quietly.
stop_server() {
    local status=0
    kill -TERM "$1"
    for _ in {1..100}; do kill -0 "$1" 2>/dev/null || break; sleep 0.1; done
    wait "$1" || status=$?
    server_pids=()
    must_not_say server.log '^tidemalloc:'
    [ $status -eq 0 ] || [ $status -eq 143 ] ||
        { echo "server ended with $status" >&2; tail -n 20 server.log >&2; return 1; }
}

real_redis() {
    need redis-server redis-cli redis-benchmark
    serve redis-server --port 0 --unixsocket "$PWD/redis.sock" --save "" --appendonly no \
        --dir "$PWD"
    wait_until redis-cli -s redis.sock ping
    server_is_ours "$server_pid"
    redis-benchmark -s redis.sock -q -n 20000 -P 8 -t set,get,lpush,sadd,hset,zadd -r 5000 \
        -d 100 >/dev/null
    redis-cli -s redis.sock flushall
    {
        for i in {1..5000}; do
            echo "set key:$i value$((i * 7919 % 1000))"
            echo "rpush list:$((i % 50)) $i"
            echo "hset hash:$((i % 100)) field$i $((i * 3))"
            echo "zadd zset $((i * 31 % 997)) member$i"
            echo "append text:$((i % 10)) chunk$i"
        done
        for i in {1..4500}; do echo "del key:$i"; done
    } | redis-cli -s redis.sock | md5sum
    redis-cli -s redis.sock dbsize
    redis-cli -s redis.sock zrange zset 0 -1 | md5sum
    for i in {0..9}; do
        redis-cli -s redis.sock strlen "text:$i"
        redis-cli -s redis.sock lrange "list:$i" 0 -1 | md5sum
    done
    redis-cli -s redis.sock eval \
        'local s = 0; for i = 1, 20000 do s = s + #tostring(i) .. "" end return s' 0
    # A background save forks while the parent goes on.
    redis-cli -s redis.sock bgsave
    redis-benchmark -s redis.sock -q -n 5000 -t set -r 1000 >/dev/null
    wait_until bash -c 'redis-cli -s redis.sock info persistence | grep rdb_bgsave_in_progress:0'
    redis-cli -s redis.sock info persistence | grep rdb_last_bgsave_status
    redis-cli -s redis.sock memory purge
    stop_server "$server_pid"
}

real_memcached() {
    need memcached perl
    chmod 0777 .
    serve memcached -u nobody -s "$PWD/memcached.sock" -m 64 -t 4 -a 0777
    wait_until test -S memcached.sock
    server_is_ours "$server_pid"
    perl "$here/work/memcached.pl" "$PWD/memcached.sock"
    stop_server "$server_pid"
}

real_nginx() {
    need nginx curl
    local port user
    port=$((20000 + RANDOM % 20000))
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
    user=
    [ "$(id -u)" = 0 ] && user="user nobody nogroup;"
    mkdir html logs tmp
    chmod 0755 . html
    for i in {1..20}; do seq $i $((i * 5000)) >html/file$i.txt; done
    chmod 0777 tmp
    {
        echo "$user"
        sed "s|@DIR@|$PWD|g; s|@PORT@|$port|g" "$here/work/nginx.conf.in"
    } >nginx.conf
    serve nginx -p "$PWD" -e "$PWD/logs/error.log" -c "$PWD/nginx.conf"
    wait_until curl -fs "http://127.0.0.1:$port/file1.txt"
    server_is_ours "$server_pid"
    local i
    for i in {1..20}; do curl -fs "http://127.0.0.1:$port/file$i.txt" | md5sum; done
    for i in {1..20}; do
        curl -fs --compressed "http://127.0.0.1:$port/again/file$i.txt" | md5sum
    done
    seq -f "url = http://127.0.0.1:$port/file%g.txt" 1 20 | sed 'a output = /dev/null' >urls
    for i in {1..5}; do curl -fs -Z --parallel-max 10 -K urls 2>/dev/null; done
    kill -HUP "$server_pid"
    sleep 1
    curl -s -o /dev/null -w '%{http_code}\n' "http://127.0.0.1:$port/missing"
    curl -fs "http://127.0.0.1:$port/file7.txt" | md5sum
    stop_server "$server_pid"
    must_not_say logs/error.log 'exited on signal|tidemalloc'
}

real_postgres() {
    local bin as=()
    bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)
    [ -x "$bin/initdb" ] || skip "no postgresql"
    command -v pgbench >/dev/null || skip "no pgbench"
    if [ "$(id -u)" = 0 ]; then
        id postgres >/dev/null 2>&1 || skip "no user postgres"
        command -v setpriv >/dev/null || skip "no setpriv"
        as=(setpriv --reuid=postgres --regid=postgres --init-groups)
        chown postgres .
        chmod 0755 .
    fi
    mkdir data
    [ ${#as[@]} -eq 0 ] || chown postgres data
    local sql=("${as[@]}" psql -h "$PWD" -U postgres -X -q -A -t)
    export HOME=$PWD
    local preload=()
    [ -z "$on_tide" ] || preload=("LD_PRELOAD=$TIDE_LIB" "TIDE_CONF=${TIDE_TEST_CONF:-}")
    "${as[@]}" env "${preload[@]}" "$bin/initdb" -D "$PWD/data" -U postgres -A trust -E UTF8 \
        --locale=C --no-sync >initdb.log 2>&1 || {
        cat initdb.log >&2
        return 1
    }
    "${as[@]}" env "${preload[@]}" "$bin/postgres" -D "$PWD/data" -k "$PWD" \
        -c listen_addresses= -c fsync=off -c shared_buffers=64MB >server.log 2>&1 &
    server_pid=$!
    server_pids+=("$server_pid")
    wait_until "${sql[@]}" -c 'select 1' postgres
    server_is_ours "$server_pid"
    must_not_say initdb.log tidemalloc:
    "${as[@]}" pgbench -h "$PWD" -U postgres -i -q -s 2 postgres >/dev/null 2>&1
    "${as[@]}" pgbench -h "$PWD" -U postgres -n -c 4 -j 2 -t 300 postgres >pgbench.log 2>&1 || {
        cat pgbench.log >&2
        return 1
    }
    grep -E 'number of transactions actually processed|failed' pgbench.log
    "${sql[@]}" postgres <"$here/work/postgres.sql"
    stop_server "$server_pid"
    must_not_say server.log 'terminated by signal|tidemalloc:|PANIC'
}
