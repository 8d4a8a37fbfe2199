package plan

import (
	"path"

	"mcpen/sandbox/policy"
)

// Bundles are the variables of mcpen's environment that name additional certificates to
// trust, such as those of a company whose proxy opens TLS. A server with a network gets
// these certificates, unless the profile says otherwise for the variable.
//
// Whoever starts mcpen sets the variables; a repository may do so through a client's
// configuration file. So a variable never makes a path visible: mcpen reads the named
// file outside and gives the server only its certificates, in a file that mcpen makes.
// The server sees a folder of certificates (SSL_CERT_DIR) only as far as the system's
// certificates lie in it.
var Bundles = []string{
	"AWS_CA_BUNDLE",       // botocore
	"CURL_CA_BUNDLE",      // curl(1)
	"GIT_SSL_CAINFO",      // git-config(1), http.sslCAInfo
	"NODE_EXTRA_CA_CERTS", // node(1)
	"REQUESTS_CA_BUNDLE",  // Python's requests
	"SSL_CERT_FILE",       // SSL_CTX_set_default_verify_paths(3)
}

// WantsBundles reports whether the policy makes use of Bundles: whether a rule reaches
// another machine.
func WantsBundles(pol policy.Policy) bool { return outward(pol.Network.Allow) }

// bundleDir is the folder of the certificate files inside.
const bundleDir = "/etc/mcpen-certificates"

// bundles returns the certificate files for the server and the variables that name
// them. Variables with the same certificates share one file, named after the first
// variable. Without namespaces mcpen has no /etc of its own for the files, and bundles
// returns nothing.
func (c *compiler) bundles() (files []Mount, names []Env) {
	if !WantsBundles(c.pol) || c.host.Desk != nil || c.prog.Install != nil || !c.plan.Holds(policy.LayerNamespaces) {
		return nil, nil
	}
	at := map[string]string{} // by content
	for _, name := range Bundles {
		text := c.host.Certificates[name]
		if text == "" {
			continue
		}
		if at[text] == "" {
			at[text] = path.Join(bundleDir, name+".pem")
			files = append(files, Mount{Kind: MountFile, Target: at[text], Content: text, Mode: 0o644, Why: "certificates (" + name + ")"})
		}
		names = append(names, Env{Name: name, Value: at[text], At: "mcpen's environment"})
	}
	return files, names
}
