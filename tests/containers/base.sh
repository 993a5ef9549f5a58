#!/bin/sh
# base.sh FOLDER SUITE: prints the file system of a slim Debian as a tar archive, made in FOLDER by debootstrap, as root.
#
# How this machine reaches its package registries is read from the machine and goes into the image, never into a file of the
# repository: apt's mirror and Acquire options, pip's and npm's configuration, PIP_* variables, certificates. Credentials
# (passwords, tokens) are left out. MIRROR=URL chooses another mirror. Such images stay on this machine.
set -eu

root=$1/base
suite=$2

# The first mirror that the machine's own sources name for a Debian suite.
own_mirror() {
    {
        cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed -n 's/^URIs: *\([^ ]*\).*/\1/p'
        cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
            sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p'
    } | grep -E '^https?:' | grep -v security | head -n 1
}
mirror=${MIRROR:-$(own_mirror)}
[ -n "$mirror" ] || { echo "this machine's apt sources name no mirror; set MIRROR" >&2; exit 1; }

rm -rf "$root"
debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror" >&2

for file in /etc/apt/apt.conf.d/*; do
    if [ -f "$file" ] && grep -q '^ *Acquire' "$file" && ! grep -qiE 'IndexTargets|password|token|://[^/]*@' "$file"; then
        cp "$file" "$root/etc/apt/apt.conf.d/"
    fi
done
if [ -s /etc/ssl/certs/ca-certificates.crt ]; then
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
fi
clean() { grep -viE 'password|token|_auth|find-links|://[^/]*@' "$1" || true; }
if [ -s /etc/npmrc ]; then clean /etc/npmrc >"$root/etc/npmrc"; fi
if [ -s /etc/pip.conf ]; then clean /etc/pip.conf >"$root/etc/pip.conf"; fi
if [ -n "${PIP_INDEX_URL:-}${PIP_EXTRA_INDEX_URL:-}${PIP_TRUSTED_HOST:-}" ]; then
    {
        echo '[global]'
        [ -z "${PIP_INDEX_URL:-}" ] || echo "index-url = $PIP_INDEX_URL"
        [ -z "${PIP_EXTRA_INDEX_URL:-}" ] || echo "extra-index-url = $PIP_EXTRA_INDEX_URL"
        [ -z "${PIP_TRUSTED_HOST:-}" ] || echo "trusted-host = $PIP_TRUSTED_HOST"
    } >"$root/etc/pip.conf"
fi

# As the slim images of the registry: no manuals, no other languages. A build starts no services.
for path in doc man locale info lintian; do
    echo "path-exclude /usr/share/$path/*" >>"$root/etc/dpkg/dpkg.cfg.d/slim"
    rm -rf "${root:?}/usr/share/$path"/*
done
printf 'Acquire::Languages "none";\nAPT::Install-Recommends "false";\nDir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n' >"$root/etc/apt/apt.conf.d/zz-slim"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 0755 "$root/usr/sbin/policy-rc.d"
echo force-unsafe-io >>"$root/etc/dpkg/dpkg.cfg.d/slim" # a build that is interrupted is thrown away
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/var/log/*

tar -C "$root" --numeric-owner -c .
rm -rf "$root"
