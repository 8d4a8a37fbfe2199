package confine

import (
	"os"
	"path/filepath"
	"strings"
)

// Resolver is what it takes to go on asking for names as the host does: rules for
// its files, and whether the C library's resolver, which package net turns to for
// what it does not know itself, has modules to load or services of the host to ask
// (nsswitch.conf(5)).
func Resolver() (rules []Rule, modules bool) {
	for _, f := range []string{"hosts", "nsswitch.conf", "host.conf", "gai.conf", "services", "mdns.allow"} {
		rules = append(rules, Rule{Path: filepath.Join("/etc", f), Access: Read})
	}
	rules = append(rules, configuration("/etc/resolv.conf", os.Geteuid() == 0)...)
	text, err := os.ReadFile("/etc/nsswitch.conf")
	if err != nil || !foreign(string(text)) {
		return rules, false
	}
	for _, dir := range []string{"/etc/ld.so.cache", "/lib", "/lib64", "/usr/lib", "/usr/lib64"} {
		rules = append(rules, Rule{Path: dir, Access: Read})
	}
	return rules, true
}

// configuration are the rules for resolv.conf. Who changes it puts another file in
// its place, so that the rule is for its folder: of what a link leads to, and of /etc
// itself for a user, to whom nothing of his own is there. For root the file itself
// has to do.
func configuration(file string, root bool) []Rule {
	rules := []Rule{{Path: file, Access: Read}}
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return rules
	}
	if dir := filepath.Dir(real); !root || dir != filepath.Dir(file) {
		rules = append(rules, Rule{Path: dir, Access: Read})
	}
	return rules
}

// foreign reports whether host names are looked up by anything but files and DNS,
// which every C library has without a module.
func foreign(nsswitch string) bool {
	for line := range strings.Lines(nsswitch) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "hosts:")
		if !ok {
			continue
		}
		for _, source := range strings.Fields(rest) {
			if source != "files" && source != "dns" {
				return true
			}
		}
	}
	return false
}
