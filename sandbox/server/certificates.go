package server

import (
	"encoding/pem"
	"errors"
	"path/filepath"
	"strings"

	"mcpen/sandbox/origin"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// maxBundle bounds a file of certificates. The system's own has a quarter of that.
const maxBundle = 1 << 20

// certificates reads the files that plan.Bundles name in mcpen's environment. It does
// not use a file that another party may have chosen: with a proxy of theirs they would
// read the server's traffic to its hosts. Files of the system's certificates, which the
// server sees anyway, it does not read but returns by their names.
func (c *Caller) certificates(at user.Dirs, pol policy.Policy) (texts, files map[string]string) {
	if !plan.WantsBundles(pol) {
		return nil, nil
	}
	texts, files = map[string]string{}, map[string]string{}
	read := map[string]string{}
	for _, name := range plan.Bundles {
		file := user.Absolute(c.Getenv(name))
		if file == "" || !wholefile.Exists(file) {
			continue
		}
		if real, err := filepath.EvalSymlinks(file); err == nil && plan.SystemCertificates(pol, file) && plan.SystemCertificates(pol, real) {
			files[name] = file
			continue
		}
		text, again := read[file]
		if !again {
			var err error
			if text, err = certificatesOf(at, file); err != nil {
				c.Warn("the server does not get the certificates of %s: %v", name, err)
			}
			read[file] = text
		}
		if text != "" {
			texts[name] = text
		}
	}
	return texts, files
}

// certificatesOf reads the certificates of a file, and nothing else that is in it: no
// key, no text.
func certificatesOf(at user.Dirs, file string) (string, error) {
	if why := origin.Foreign(at, file); why != "" {
		return "", errors.New(why)
	}
	rest, err := wholefile.Read(file, maxBundle)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch block.Type { // as PEM_read_bio_X509_AUX(3) has them
		case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
			block.Headers = nil
			if err := pem.Encode(&out, block); err != nil {
				return "", err
			}
		}
	}
	if out.Len() == 0 {
		return "", errors.New("it holds none")
	}
	return out.String(), nil
}
