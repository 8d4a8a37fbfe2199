// Package registry asks npm's and PyPI's registries as the person's own package managers
// would: where they are, with which credentials, proxy and certificates (.npmrc, pip.conf,
// uv.toml, .netrc, variables), which versions a package has there, and which of them is
// to be installed. Every answer is bounded in bytes and in time.
//
// It installs nothing, trusts no address that an index names outside of the
// configuration, and knows nothing of the tools that install.
package registry
