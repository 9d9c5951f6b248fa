# shellcheck shell=bash
# What the scripts share: packages, the build, a PostgreSQL of their own.
#
# Everything happens in a temporary directory that is removed at the end; the
# checkout is only read.  Outside of it they install missing Debian packages
# and, with "make install", the extension.
#
# PG_CONFIG, if set, names the PostgreSQL to use; it then has to be complete.

set -euo pipefail
umask 022
unset CDPATH MAKEFLAGS MAKELEVEL PSQL_PAGER
for variable in "${!PG@}"; do
	[ "$variable" = PG_CONFIG ] || unset "$variable"
done
export LC_ALL=C.UTF-8 PAGER=cat PYTHONDONTWRITEBYTECODE=1

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
WORK=
SERVER=
UPDATED=
VERSION=
CLANG_PACKAGES=()
SERVER_COPY=
SERVER_ENVIRONMENT=()

say() {
	printf '\n== %s\n' "$*"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# need_root WHY: say now, and not in a log, what cannot be done
need_root() {
	[ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
		die "needs root or sudo to $1"
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# quietly NAME COMMAND...: keep the output in log/NAME, show it on failure
quietly() {
	local log=$WORK/log/$1
	shift
	"$@" >"$log" 2>&1 </dev/null || {
		cat "$log" >&2
		printf '%s: failed: %s\n' "${0##*/}" "$*" >&2
		return 1
	}
}

# --------------------------------------------------------------------------
# Start and end
# --------------------------------------------------------------------------

# PostgreSQL refuses to run as root.  "nobody" owns nothing that a test could
# harm; "postgres" would own the machine's real servers.
begin() {
	WORK=$(mktemp -d /tmp/evcharge.XXXXXX)
	trap end EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	chmod 755 "$WORK"
	mkdir "$WORK/log" "$WORK/src" "$WORK/run"
	RUNNER=(env "HOME=$WORK/run" "TMPDIR=$WORK/run")
	if [ "$(id -u)" = 0 ]; then
		RUNNER=(setpriv --reuid=nobody --regid="$(id -g nobody)"
			--clear-groups "${RUNNER[@]}")
		chown nobody "$WORK/run"
	fi
}

# end [STATUS]
end() {
	local status=${1:-$?}
	trap - EXIT
	trap '' HUP INT TERM
	stop_server
	if [ -n "$WORK" ]; then
		# a test that was interrupted leaves its own server behind
		find "$WORK" -name postmaster.pid -exec head -qn 1 {} + |
			xargs -r kill -QUIT 2>/dev/null || :
		rm -rf "$WORK"
	fi
	exit "$status"
}

# --------------------------------------------------------------------------
# Packages
# --------------------------------------------------------------------------

have_package() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

update_package_lists() {
	[ -z "$UPDATED" ] || return 0
	quietly apt-update as_root apt-get update
	UPDATED=yes
}

# The newest server that is here, else the one that Debian would install.
find_server_version() {
	VERSION=$(printf '%s\n' /usr/lib/postgresql/*/bin/postgres |
		sed -n 's,^/usr/lib/postgresql/\([0-9]*\)/.*,\1,p' | sort -n | tail -1)
	if [ -z "$VERSION" ]; then
		update_package_lists
		VERSION=$(apt-cache depends postgresql |
			sed -n 's/^ *Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -1)
	fi
	[ -n "$VERSION" ] || die "found no package postgresql-NN"
}

# A clang with the runtime of its sanitizers and its fuzzer, which has a version
# in its name: that of the clang that is here, else the one of Debian.
find_clang_packages() {
	local version
	if command -v clang >/dev/null; then
		version=$(clang -dumpversion)
	else
		update_package_lists
		version=$(apt-cache depends clang |
			sed -n 's/^ *Depends: clang-\([0-9][0-9]*\)$/\1/p' | head -1)
	fi
	[ -n "$version" ] || die "found no clang"
	CLANG_PACKAGES=(clang "libclang-rt-${version%%.*}-dev")
}

# install_missing PACKAGE...: "NN" in a name stands for the server's version
install_missing() {
	local package missing=()
	if ! command -v apt-get >/dev/null; then
		[ -n "${PG_CONFIG:-}" ] || die "needs Debian, or PG_CONFIG set and:" \
			"gcc, make, protobuf-c, protoc, python3 with protobuf and psycopg2"
		return 0
	fi
	if [ -z "${PG_CONFIG:-}" ]; then
		find_server_version
		PG_CONFIG=/usr/lib/postgresql/$VERSION/bin/pg_config
		set -- postgresql-NN postgresql-server-dev-NN "$@"
	fi
	for package in make gcc libc6-dev protobuf-c-compiler libprotobuf-c-dev \
		protobuf-compiler python3 python3-protobuf python3-psycopg2 "$@"
	do
		case $package in
			*NN*) [ -n "$VERSION" ] || continue ;;
		esac
		package=${package/NN/$VERSION}
		have_package "$package" || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0

	need_root "install ${missing[*]}"
	say "Installing ${missing[*]}"
	update_package_lists
	if ! have_package postgresql-common &&
		[ ! -e /etc/postgresql-common/createcluster.conf ]
	then
		echo "Writing create_main_cluster = false into" \
			"/etc/postgresql-common/createcluster.conf, so that no server" \
			"starts that nobody asked for"
		as_root mkdir -p /etc/postgresql-common
		echo 'create_main_cluster = false' |
			as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
	fi
	quietly apt-install as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install --yes --no-install-recommends \
		-o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold \
		"${missing[@]}"
}

# install_node: a Node and its module pg, for the listener in JavaScript.  What
# cannot be had is done without: its tests are then skipped.
install_node() {
	! command -v node >/dev/null || ! node_has_pg || return 0
	command -v apt-get >/dev/null || return 0
	update_package_lists
	if apt-get --simulate install --no-install-recommends nodejs node-pg \
		>/dev/null 2>&1
	then
		need_root "install nodejs node-pg"
		quietly apt-node as_root env DEBIAN_FRONTEND=noninteractive \
			apt-get install --yes --no-install-recommends \
			-o DPkg::Lock::Timeout=300 nodejs node-pg
	fi
}

node_has_pg() {
	NODE_PATH=/usr/share/nodejs:/usr/lib/nodejs node -e 'require("pg")' 2>/dev/null
}

# --------------------------------------------------------------------------
# Build and server
# --------------------------------------------------------------------------

# make_quietly NAME ARGUMENT...: make in the copy of the checkout
make_quietly() {
	local name=$1
	shift
	quietly "$name" make -C "$WORK/src" PG_CONFIG="$PG_CONFIG" "$@"
}

# build ARGUMENT...: build a copy of the checkout, from scratch
build() {
	tar -C "$ROOT" --exclude=./.git -cf - . | tar -C "$WORK/src" -xof - &&
		make_quietly clean clean &&
		make_quietly build -j "$(nproc)" "$@"
}

install_extension() {
	need_root "install into $("$PG_CONFIG" --pkglibdir)"
	quietly install as_root make -C "$WORK/src" PG_CONFIG="$PG_CONFIG" install
}

# copy_server DIRECTORY: make start_server take a copy of the server, into which
# an extension goes with DESTDIR.  Its programs find their files from where they
# stand themselves; all that is not a program is only linked.
copy_server() {
	local kind directory file
	SERVER_COPY=$1
	for kind in bindir pkglibdir sharedir; do
		directory=$("$PG_CONFIG" --$kind)
		mkdir -p "$SERVER_COPY$directory"
		if [ $kind = bindir ]; then
			cp -r "$directory/." "$SERVER_COPY$directory/"
			continue
		fi
		for file in "$directory"/*; do
			[ "${file##*/}" = extension ] || [ "${file##*/}" = evcharge.so ] ||
				ln -s "$file" "$SERVER_COPY$directory/"
		done
	done
	mkdir "$SERVER_COPY$directory/extension"
	for file in "$directory"/extension/*; do
		[[ ${file##*/} = evcharge* ]] ||
			ln -s "$file" "$SERVER_COPY$directory/extension/"
	done
}

# A server that nothing else can reach: no port, a socket in a directory of
# ours.  Nothing in it outlives the script, so nothing is flushed to disk.
start_server() {
	local bin tries=0
	bin=$SERVER_COPY$("$PG_CONFIG" --bindir)
	export PATH="$bin:$PATH" PGHOST=$WORK/run PGUSER=postgres
	cd "$WORK/run"
	quietly initdb "${RUNNER[@]}" initdb --pgdata="$WORK/run/data" \
		--username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
		--no-sync
	(
		exec "${RUNNER[@]}" "${SERVER_ENVIRONMENT[@]}" postgres -D "$WORK/run/data" -k "$WORK/run" \
			-c listen_addresses= -c fsync=off -c synchronous_commit=off \
			-c full_page_writes=off -c timezone=UTC \
			</dev/null >"$WORK/log/server" 2>&1
	) &
	SERVER=$!
	until psql -XAtqc 'SELECT 1' postgres >/dev/null 2>&1; do
		tries=$((tries + 1))
		if ! kill -0 "$SERVER" 2>/dev/null || [ "$tries" -gt 150 ]; then
			cat "$WORK/log/server" >&2
			die "the server did not start"
		fi
		sleep 0.2
	done
}

stop_server() {
	local tries=0
	[ -n "$SERVER" ] || return 0
	kill -INT "$SERVER" 2>/dev/null || :
	while kill -0 "$SERVER" 2>/dev/null; do
		tries=$((tries + 1))
		[ "$tries" -ne 50 ] || kill -QUIT "$SERVER" 2>/dev/null || :
		sleep 0.2
	done
	wait "$SERVER" 2>/dev/null || :
	SERVER=
}
