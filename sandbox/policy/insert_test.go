package policy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/policy"
)

// A person who follows a hint keeps every comment and every line of the file.
func TestInsert(t *testing.T) {
	read := audit.Roots{}.AllowPath("read", "/new")
	for _, c := range []struct{ name, src, want string }{
		{"an empty file", "", "\n[filesystem]\nread = [\"/new\"]\n"},
		{"no such table", "version = 1 # x", "version = 1 # x\n\n[filesystem]\nread = [\"/new\"]\n"},
		{"a table without the key", "[filesystem] # mine\nwrite = [\"/w\"]\n\n[log]\n", "[filesystem] # mine\nread = [\"/new\"]\nwrite = [\"/w\"]\n\n[log]\n"},
		{"an indented table", "[filesystem]\n  write = [\"/w\"]\n", "[filesystem]\n  read = [\"/new\"]\n  write = [\"/w\"]\n"},
		{"a header at the end of the file", "[filesystem]", "[filesystem]\nread = [\"/new\"]\n"},
		{"a list", "[filesystem]\nread = [ \"/a\", \"/b\" ] # both\n", "[filesystem]\nread = [\"/new\", \"/a\", \"/b\" ] # both\n"},
		{"an empty list", "[filesystem]\nread = []\n", "[filesystem]\nread = [\"/new\"]\n"},
		{"one element a line", "[filesystem]\nread = [ # why\n\t# first\n\t\"/a\", # a\n\t\"/b\",\n]\n", "[filesystem]\nread = [ # why\n\t# first\n\t\"/new\",\n\t\"/a\", # a\n\t\"/b\",\n]\n"},
		{"an empty list over lines", "[filesystem]\nread = [\n  # nothing yet\n]\n", "[filesystem]\nread = [\"/new\"\n  # nothing yet\n]\n"},
		{"a dotted key", "filesystem.read = [\"/a\"]\n", "filesystem.read = [\"/new\", \"/a\"]\n"},
		{"a dotted key of another list", "version = 1\nfilesystem.write = [\"/w\"] # mine\nlog.files = true\n", "version = 1\nfilesystem.read = [\"/new\"]\nfilesystem.write = [\"/w\"] # mine\nlog.files = true\n"},
		{"an inline table with the list", "filesystem = { read = [\"/a\"] }\n", "filesystem = { read = [\"/new\", \"/a\"] }\n"},
		{"line ends of Windows", "[filesystem]\r\nwrite = []\r\n", "[filesystem]\r\nread = [\"/new\"]\r\nwrite = []\r\n"},
		{"a quoted table", "[\"filesystem\"]\n", "[\"filesystem\"]\nread = [\"/new\"]\n"},
		{"the words in a string", "description = \"\"\"\n[filesystem]\nread = []\n\"\"\"\n", "description = \"\"\"\n[filesystem]\nread = []\n\"\"\"\n\n[filesystem]\nread = [\"/new\"]\n"},
	} {
		got, err := policy.Insert([]byte(c.src), *read)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %q (%v), want %q", c.name, got, err, c.want)
		}
		if _, err := policy.Insert(got, *read); !errors.Is(err, policy.ErrGranted) {
			t.Errorf("%s: written twice: %v", c.name, err)
		}
	}
	for _, c := range []struct{ name, src string }{
		{"an inline table without the list", "filesystem = { write = [] }\n"},
		{"no list", "[filesystem]\nread = 1\n"},
		{"no table", "filesystem = 1\n"},
		{"no TOML", "[filesystem\n"},
	} {
		if got, err := policy.Insert([]byte(c.src), *read); err == nil || errors.Is(err, policy.ErrGranted) {
			t.Errorf("%s: became %q (%v)", c.name, got, err)
		}
	}
}

// Only a table of the same name counts, not one below it.
func TestInsertBesideATableBelow(t *testing.T) {
	pass := audit.Grant{Table: "env", Key: "pass", Values: []audit.GrantValue{{Text: "LANG"}}}
	got, err := policy.Insert([]byte("[env.set]\nA = \"1\"\n"), pass)
	if want := "[env.set]\nA = \"1\"\n\n[env]\npass = [\"LANG\"]\n"; err != nil || string(got) != want {
		t.Errorf("%q (%v), want %q", got, err, want)
	}
}

func TestInsertOfAnInlineTable(t *testing.T) {
	g := audit.AllowRule("db.example:5432").With("host", "private", true)
	got, err := policy.Insert([]byte("[network]\nallow = [\"a.example:443\"]\n"), *g)
	if want := "[network]\nallow = [{ host = \"db.example:5432\", private = true }, \"a.example:443\"]\n"; err != nil || string(got) != want {
		t.Errorf("%q (%v), want %q", got, err, want)
	}
	if _, err := policy.Parse("p.toml", append([]byte("version = 1\nname = \"a\"\n"), got...), nil); err != nil {
		t.Error(err)
	}
}

func TestChanged(t *testing.T) {
	got := policy.Changed([]byte("a\nb\nc\n"), []byte("a\nB\nnew\nc\n"))
	if want := []string{"-b", "+B", "+new"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Whatever the file contains, the result says the same plus the grant.
func FuzzInsert(f *testing.F) {
	for _, s := range []string{"[filesystem]\nread = [\n\"/a\",]", "filesystem.read = []", "[[filesystem]]\n", "[filesystem]\n[filesystem.read]\n", "a = '''\n[filesystem]\n'''", "\ufeff[filesystem]\n", "[filesystem]\r\nread=[\"\"]"} {
		f.Add(s, "/x")
	}
	f.Fuzz(func(t *testing.T, src, path string) {
		g := audit.Roots{}.AllowPath("read", path)
		if g == nil || len(src) > 1<<12 {
			return
		}
		got, err := policy.Insert([]byte(src), *g)
		if err != nil {
			return
		}
		if _, err := policy.Insert(got, *g); !errors.Is(err, policy.ErrGranted) {
			t.Errorf("%q became %q, which does not say it: %v", src, got, err)
		}
		for _, line := range strings.SplitAfter(src, "\n") {
			if c := strings.IndexByte(line, '#'); c >= 0 && !strings.Contains(string(got), line[c:]) {
				t.Errorf("a comment of %q is gone in %q", src, got)
			}
		}
	})
}

// If the grant cannot be inserted, the error names the place, so that the person can
// edit it by hand.
func TestInsertSaysWhyNot(t *testing.T) {
	read := audit.Roots{}.AllowPath("read", "/new")
	for src, want := range map[string]string{
		"[filesystem\n": "cannot read the profile: ", "filesystem = 1\n": `cannot write into "filesystem": it is no table`, "[filesystem]\nread = 1\n": `cannot write into "filesystem.read": it is no list`,
		"filesystem = { write = [] }\n": "cannot write read = [\"/new\"] into this profile", "[filesystem]\nread = [\"/new\"]\n": policy.ErrGranted.Error(),
	} {
		got, err := policy.Insert([]byte(src), *read)
		if err == nil || got != nil || !strings.Contains(err.Error(), strings.TrimPrefix(want, "cannot write read = [\"/new\"] ")) {
			t.Errorf("%q: %q, %v, want %s", src, got, err, want)
		}
	}
	two := audit.Grant{Table: "filesystem", Key: "read", Values: []audit.GrantValue{{Text: "/a"}, {Text: "/b"}}}
	for src, want := range map[string]string{"[filesystem]\nread = [\"/a\"]\n": "[filesystem]\nread = [\"/a\", \"/b\", \"/a\"]\n", "[filesystem]\n\twrite = []\n": "[filesystem]\n\tread = [\"/a\", \"/b\"]\n\twrite = []\n", "[filesystem]\n\n  [log]\n": "[filesystem]\nread = [\"/a\", \"/b\"]\n\n  [log]\n",
		"[filesystem]\r\nread = [\r\n  \"/x\",\r\n]\r\n": "[filesystem]\r\nread = [\r\n  \"/a\", \"/b\",\r\n  \"/x\",\r\n]\r\n", "\nread = 1\n": "\nread = 1\n\n[filesystem]\nread = [\"/a\", \"/b\"]\n", "x = 1\r\n": "x = 1\r\n\r\n[filesystem]\r\nread = [\"/a\", \"/b\"]\r\n"} {
		if got, err := policy.Insert([]byte(src), two); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v, want %q", src, got, err, want)
		}
	}
}

// The diff lists the lines that differ, at the top, in the middle and at the end.
func TestChangedAtBothEnds(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"", "", ""}, {"a\n", "a\n", ""}, {"", "a\n", "+a"}, {"a\n", "", "-a"}, {"a\n", "b\n", "-a +b"}, {"a\nb\n", "x\na\nb\n", "+x"}, {"a\nb\n", "a\nb\nx\n", "+x"}, {"a\r\nb", "a\r\nc", "-b +c"}, {"a\na\n", "a\na\na\n", "+a"}, {"b\nc\n", "a\nd\nc\n", "-b +a +d"},
	} {
		if got := strings.Join(policy.Changed([]byte(c.old), []byte(c.new)), " "); strings.Join(strings.Fields(got), " ") != c.want && got != c.want {
			t.Errorf("%q to %q: %q, want %q", c.old, c.new, got, c.want)
		}
	}
}
