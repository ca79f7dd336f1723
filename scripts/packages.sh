# Sourced by the scripts beside it: packages of the distribution, where this user may install them.

can_install() {
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null
}

# What it says goes to standard error: a script may be asked for an answer on the other.
install_package() {
    echo "installing $1" >&2
    apt-get update -qq >&2 || echo "apt-get update failed; trying with the lists that are there" >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >&2
}
