# What docs/image.svg records; CONTRIBUTING.md says how.
type_out() {
    printf '$ '
    for ((i = 0; i < ${#1}; i++)); do printf '%s' "${1:i:1}"; sleep 0.03; done
    printf '\n'
    eval "$1"
}
# Something to compile.
touch crates/server/src/main.rs
type_out 'cargo xtask image --variant distroless'
sleep 1
type_out 'cargo xtask image --variant distroless   # and again'
sleep 1
