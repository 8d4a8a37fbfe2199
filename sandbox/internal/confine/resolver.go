package confine

import (
	"os"
	"path/filepath"
	"strings"
)

// Resolver returns the rules for the files that name resolution needs on this host.
// modules reports whether the C library's resolver, which package net uses for sources
// it does not know, has to load modules or ask services of the host (nsswitch.conf(5)).
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

// configuration returns the rules for resolv.conf. Programs update it by replacing the
// file, so the rule covers its folder: the folder of a link's target, and for an
// unprivileged user /etc itself, which holds nothing private to him. For root the rule
// covers only the file itself.
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

// foreign reports whether host names come from sources other than files and DNS, which
// every C library supports without a module.
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
