# SPDX-License-Identifier: MIT
# Associative and indexed arrays, subshells, substitution, deep recursion.
declare -A h
s=1
for ((i = 0; i < 20000; i++)); do
    s=$(((s * 1103515245 + 12345) % 2147483648))
    h[k$((s % 2000))]+="${s:0:2}"
done
text=""
for k in "${!h[@]}"; do text+="$k=${#h[$k]};"; done
echo ${#h[@]} ${#text}
a=()
for ((i = 0; i < 20000; i++)); do a+=("element $i"); done
b=("${a[@]//e/E}")
echo "${b[19999]} ${#b[*]}"
for i in {1..200}; do x=$(echo $((i * i))); done
echo "$x"
echo "${text//[0-9]/}" | tr -d 'k=;\n' | wc -c
printf '%s\n' "${a[@]}" | sort -r | head -n 3
recurse() {
    local n=$1 big
    ((n == 0)) && return 0
    big=$(printf '%*s' 100 x)
    recurse $((n - ${#big} / 100))
}
recurse 400
echo deep
