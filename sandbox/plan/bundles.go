package plan

import (
	"path"

	"mcpen/sandbox/policy"
)

// Bundles are the variables of mcpen's environment by which programs are told
// whose certificates to trust beside the system's: a company's, whose proxy opens
// TLS. Where a server has a network and what one of them names is there, the server
// is given both, unless the profile says otherwise of the variable or the path.
var Bundles = []string{
	"AWS_CA_BUNDLE",       // botocore
	"CURL_CA_BUNDLE",      // curl(1)
	"GIT_SSL_CAINFO",      // git-config(1), http.sslCAInfo
	"NODE_EXTRA_CA_CERTS", // node(1)
	"REQUESTS_CA_BUNDLE",  // Python's requests
	"SSL_CERT_DIR",        // SSL_CTX_set_default_verify_paths(3)
	"SSL_CERT_FILE",
}

// BundlePaths are the paths that the variables name, for whoever looks at them.
func BundlePaths(pol policy.Policy, env map[string]string) []string {
	if !outward(pol.Network.Allow) {
		return nil
	}
	var out []string
	for _, name := range Bundles {
		if p := env[name]; path.IsAbs(p) {
			out = append(out, p)
		}
	}
	return out
}

// bundles gives what the variables name. One that is denied, or that a baseline
// does not let a profile read, is left out.
func (c *compiler) bundles() {
	if !outward(c.pol.Network.Allow) || c.host.Desk != nil {
		return
	}
	for _, name := range Bundles {
		p := c.host.Env[name]
		f := c.host.Paths[p]
		if !path.IsAbs(p) || !f.Exists || f.Dir != (name == "SSL_CERT_DIR") {
			continue
		}
		problems, steps := len(c.problems), len(c.steps)
		r := []policy.Path{{Path: p}}
		for _, b := range c.pol.Bounds {
			if !c.systemic(f.Real) {
				c.within(r, b.Read, c.real)
			}
		}
		if !c.declared(p) {
			c.bind(fromNeed, r[0], false, "certificates ("+name+")")
		}
		if len(c.problems) > problems {
			c.problems, c.steps = c.problems[:problems], c.steps[:steps]
			continue
		}
		c.trusts = append(c.trusts, Env{Name: name, Value: p, At: "mcpen's environment"})
	}
}
