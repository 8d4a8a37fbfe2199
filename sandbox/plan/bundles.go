package plan

import (
	"path"

	"mcpen/sandbox/policy"
)

// Bundles are the variables of mcpen's environment by which programs are told
// whose certificates to trust beside the system's: a company's, whose proxy opens
// TLS. A server with a network is given the certificates, unless the profile says
// otherwise of the variable.
//
// Whoever starts mcpen chooses the variables, which may be a client's file of a
// repository. So a variable gives no path: what it names is read outside, and its
// certificates alone are given, as a file of mcpen's own. A folder of certificates
// (SSL_CERT_DIR) is given only as far as the system's are there.
var Bundles = []string{
	"AWS_CA_BUNDLE",       // botocore
	"CURL_CA_BUNDLE",      // curl(1)
	"GIT_SSL_CAINFO",      // git-config(1), http.sslCAInfo
	"NODE_EXTRA_CA_CERTS", // node(1)
	"REQUESTS_CA_BUNDLE",  // Python's requests
	"SSL_CERT_FILE",       // SSL_CTX_set_default_verify_paths(3)
}

// WantsBundles reports whether the variables matter to a policy.
func WantsBundles(pol policy.Policy) bool { return outward(pol.Network.Allow) }

// bundleDir is where the certificates lie inside.
const bundleDir = "/etc/mcpen-certificates"

// bundles are the files of certificates that the server is given, and the variables
// that name them; variables of the same certificates name one file, called after the
// first. Without namespaces there is no /etc of mcpen's own to put them in.
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
