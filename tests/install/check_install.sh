#!/bin/sh
# SPDX-License-Identifier: MIT
# check_install.sh CMAKE BUILD_DIR WORK_DIR CC [CMAKE OPTION...]: installs a build, moves
# the prefix, and builds and runs the consumer through find_package and through pkg-config.
set -eu

cmake=$1
build=$2
work=$3/installed
cc=$4
shift 4
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

run()
{
    printf '%s: ' "$1"
    shift
    test "$("$@" | tee /dev/stderr | cut -d ' ' -f 1)" = 42
}

rm -rf "$work"
mkdir -p "$work"
"$cmake" --install "$build" --prefix "$work/first" >"$work/install.log"
mv "$work/first" "$work/second"
if grep -rl -e "$work/first" -e "$build" "$work/second" --include='*.cmake' --include='*.pc' \
    --include='*.h'; then
    echo "the files above name a place that is gone"
    exit 1
fi

"$cmake" -S "$here/consumer" -B "$work/consumer" "$@" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_PREFIX_PATH="$work/second" >"$work/configure.log"
"$cmake" --build "$work/consumer" >"$work/build.log"
run 'find_package, static' "$work/consumer/with_static"
run 'find_package, shared' "$work/consumer/with_shared"
run 'find_package, plugin' "$work/consumer/host" "$work/consumer/libplugin.so"

library=$(find "$work/second" -name libvow.so -exec dirname {} \;)
PKG_CONFIG_PATH=$library/pkgconfig
export PKG_CONFIG_PATH
pkg-config --atleast-version=0.1 vow
# The flags are words to be split.
# shellcheck disable=SC2046
"$cc" -std=c11 "$here/consumer/consumer.c" $(pkg-config --cflags --libs vow) \
    -o "$work/by_pkg_config"
run 'pkg-config' env LD_LIBRARY_PATH="$library" "$work/by_pkg_config"
rm "$library"/libvow.so*
# shellcheck disable=SC2046
"$cc" -std=c11 "$here/consumer/consumer.c" $(pkg-config --cflags --libs --static vow) \
    -o "$work/by_pkg_config_static"
run 'pkg-config, static' "$work/by_pkg_config_static"
# shellcheck disable=SC2046
"$cc" -std=c11 -shared -fPIC "$here/consumer/plugin.c" \
    $(pkg-config --cflags --libs --static vow) -o "$work/by_pkg_config_plugin.so"
run 'pkg-config, plugin' "$work/consumer/host" "$work/by_pkg_config_plugin.so"
