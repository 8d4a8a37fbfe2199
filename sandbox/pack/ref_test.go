package pack

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseRef(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want Ref
	}{
		{"npm:thing", Ref{Ecosystem: NPM, Name: "thing"}},
		{"npm:thing@latest", Ref{Ecosystem: NPM, Name: "thing"}},
		{"npm:thing@next", Ref{Ecosystem: NPM, Name: "thing", Tag: "next"}},
		{"npm:@a/b@1.2.3-rc.1", Ref{Ecosystem: NPM, Name: "@a/b", Version: "1.2.3-rc.1"}},
		{"pypi:Mcp_Server.Time", Ref{Ecosystem: PyPI, Name: "mcp-server-time"}},
		{"pypi:thing[Cli,a_b]==2026.1.0", Ref{Ecosystem: PyPI, Name: "thing", Extras: []string{"a-b", "cli"}, Version: "2026.1.0"}},
	} {
		got, err := ParseRef(tc.in)
		if err != nil {
			t.Errorf("%s: %v", tc.in, err)
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", tc.in, d)
		}
	}
}

// A range would let the registry choose again behind the lock; a name with a
// path in it would choose a place on the disk.
func TestParseRefRefuses(t *testing.T) {
	for _, in := range []string{"", "thing", "npm:", "npm:@", "npm:@a", "npm:@a/", "npm:../x", "npm:a/b", "npm:@a/../b", "npm:.x", "npm:_x", "npm:X",
		"npm:a@", "npm:a@^1.0.0", "npm:a@1", "npm:a@1.x", "npm:a@*", "npm:a@>=1", "npm:a@1.2.3+build", "npm:a@x", "npm:a b", "npm:a\x00", "npm:node_modules",
		"npm:a@file:../x", "npm:a@git+ssh://h/x", "npm:" + strings.Repeat("a", 215), "npm:a%2fb", "cargo:x",
		"pypi:", "pypi:-x", "pypi:x-", "pypi:x==", "pypi:x==1.*", "pypi:x>=1", "pypi:x==1; y", "pypi:x==1+local space", "pypi:x==1+/etc", "pypi:x[", "pypi:x[a", "pypi:x[-]",
		"pypi:x==1==2", "pypi:x @ y", "pypi:x==1 --index"} {
		if got, err := ParseRef(in); err == nil {
			t.Errorf("%q was read as %+v", in, got)
		}
	}
}

// A profile or a command may ask for a range, and for nothing that is not one: the
// characters go into a requirements file.
func TestParseWanted(t *testing.T) {
	for _, tc := range []struct {
		in       string
		want     Ref
		yes, not string
	}{
		{"npm:a@^1.2", Ref{Ecosystem: NPM, Name: "a", Range: "^1.2"}, "1.9.0", "2.0.0"},
		{"npm:a@1.2", Ref{Ecosystem: NPM, Name: "a", Range: "1.2"}, "1.2.7", "1.3.0"},
		{"npm:@s/a@>=1  <1.5 || 2.x", Ref{Ecosystem: NPM, Name: "@s/a", Range: ">=1 <1.5 || 2.x"}, "2.3.0", "1.5.0"},
		{"npm:a@^1.2.0", Ref{Ecosystem: NPM, Name: "a", Range: "^1.2.0"}, "1.3.0", "1.3.0-rc.1"},
		{"npm:a@1.2.3", Ref{Ecosystem: NPM, Name: "a", Version: "1.2.3"}, "1.2.3", "1.2.4"},
		{"npm:a@next", Ref{Ecosystem: NPM, Name: "a", Tag: "next"}, "1.0.0", ""},
		{"npm:a", Ref{Ecosystem: NPM, Name: "a"}, "1.0.0", ""},
		{"pypi:A_b[x]>=1.2,<2", Ref{Ecosystem: PyPI, Name: "a-b", Extras: []string{"x"}, Range: ">=1.2,<2"}, "1.10", "2.0"},
		{"pypi:a ~= 1.4.2", Ref{Ecosystem: PyPI, Name: "a", Range: "~= 1.4.2"}, "1.4.9", "1.5"},
		{"pypi:a==1.*", Ref{Ecosystem: PyPI, Name: "a", Range: "==1.*"}, "1.7", "2.0"},
		{"pypi:a==1.0", Ref{Ecosystem: PyPI, Name: "a", Version: "1.0"}, "1.0.0", "1.0.1"},
	} {
		got, err := ParseWanted(tc.in)
		if err != nil {
			t.Errorf("%s: %v", tc.in, err)
			continue
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", tc.in, d)
		}
		if again, err := ParseWanted(got.String()); err != nil || cmp.Diff(got, again) != "" {
			t.Errorf("%s: its form %q reads as %+v, %v", tc.in, got, again, err)
		}
		if !got.Allows(tc.yes) || tc.not != "" && got.Allows(tc.not) {
			t.Errorf("%s: allows %s: %t, %s: %t", tc.in, tc.yes, got.Allows(tc.yes), tc.not, got.Allows(tc.not))
		}
	}
	for _, in := range []string{"npm:a@", "npm:a@file:../x", "npm:a@git+ssh://h/x", "npm:a@>=1; rm", "npm:a@^", "npm:../x@1", "npm:a@npm:b@1", "npm:@1", "cargo:a@1",
		"pypi:a>=", "pypi:a==1; os_name=='x'", "pypi:a @ https://h/x", "pypi:a>=1 --index-url=x", "pypi:a>=1\n-e x", "pypi:-r>=1", "pypi:a[>=1", "npm:a@^1\x00"} {
		if got, err := ParseWanted(in); err == nil {
			t.Errorf("%q was read as %+v", in, got)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"npm:@a/b@1.2.3", "npm:a@next", "pypi:a[b]==1.0", "pypi:A__b", "npm:a@1.x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRef(s)
		if err != nil {
			return
		}
		again, err := ParseRef(r.String())
		if err != nil {
			t.Fatalf("%q is %+v, whose form %q does not read: %v", s, r, r.String(), err)
		}
		if d := cmp.Diff(r, again); d != "" {
			t.Fatalf("%q: %s", s, d)
		}
		if strings.ContainsAny(r.Name, "\x00 \\\"'") || strings.Contains(r.Name, "..") && strings.Contains(r.Name, "/..") {
			t.Fatalf("%q gave the name %q", s, r.Name)
		}
	})
}

func TestFromCommand(t *testing.T) {
	pkg := func(tool, ref, bin string, args ...string) Command {
		r, err := ParseRef(ref)
		if err != nil {
			t.Fatal(err)
		}
		r.Bin = bin
		return Command{Kind: CommandPackage, Tool: tool, Ref: r, Args: args}
	}
	for _, tc := range []struct {
		in   string
		want Command
	}{
		{"npx -y @a/b /tmp", pkg("npx", "npm:@a/b", "", "/tmp")},
		{"npx a@1.2.3 -y --x", pkg("npx", "npm:a@1.2.3", "", "-y", "--x")},
		{"npx -y a@latest", pkg("npx", "npm:a", "")},
		{"npx -y --package @a/b -- bin x", pkg("npx", "npm:@a/b", "bin", "x")},
		{"npx --package=@a/b@2.0.0 bin x", pkg("npx", "npm:@a/b@2.0.0", "bin", "x")},
		{"npx -p a bin", pkg("npx", "npm:a", "bin")},
		{"/usr/local/bin/npx -y a", pkg("npx", "npm:a", "")},
		{`C:\nodejs\npx.cmd -y a`, pkg("npx", "npm:a", "")},
		{"cmd /c npx -y a b", pkg("npx", "npm:a", "", "b")},
		{"npm exec -y -- a --flag", pkg("npm exec", "npm:a", "", "--flag")},
		{"bunx -y a x", pkg("bunx", "npm:a", "", "x")},
		{"pnpm dlx a x", pkg("pnpm dlx", "npm:a", "", "x")},
		{"pnpm --package=a dlx bin", pkg("pnpm dlx", "npm:a", "bin")},
		{"yarn dlx -q a", pkg("yarn dlx", "npm:a", "")},
		{"uvx mcp-server-time --local-timezone UTC", pkg("uvx", "pypi:mcp-server-time", "", "--local-timezone", "UTC")},
		{"uvx a@1.0", pkg("uvx", "pypi:a==1.0", "")},
		{"uvx a@latest", pkg("uvx", "pypi:a", "")},
		{"uvx --from a[cli]==1.0 bin x", pkg("uvx", "pypi:a[cli]==1.0", "bin", "x")},
		{"uv tool run a", pkg("uv tool run", "pypi:a", "")},
		{"pipx run --spec a==1 bin", pkg("pipx run", "pypi:a==1", "bin")},
		{"pipx run a x", pkg("pipx run", "pypi:a", "", "x")},
		{"node /x/y.js a", Command{Kind: CommandProgram, Tool: "node", Args: strings.Fields("node /x/y.js a")}},
		{"python -m server", Command{Kind: CommandProgram, Tool: "python", Args: strings.Fields("python -m server")}},
		{"uv run --directory d server", Command{Kind: CommandProgram, Tool: "uv", Args: strings.Fields("uv run --directory d server")}},
	} {
		got, err := FromCommand(strings.Fields(tc.in))
		if err != nil {
			t.Errorf("%s: %v", tc.in, err)
			continue
		}
		if len(got.Args) == 0 {
			got.Args = nil
		}
		if len(tc.want.Args) == 0 {
			tc.want.Args = nil
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", tc.in, d)
		}
	}
}

func TestFromCommandDenoAndContainer(t *testing.T) {
	c, err := FromCommand(strings.Fields("deno run --allow-net -A npm:@a/b@1.0.0/bin x"))
	if err != nil || c.Ref.Name != "@a/b" || c.Ref.Version != "1.0.0" || c.Ref.Bin != "bin" || !slices.Equal(c.Args, []string{"x"}) || len(c.Notes) == 0 {
		t.Errorf("deno: %+v, %v", c, err)
	}
	c, err = FromCommand(strings.Fields("docker run -i --rm -e TOKEN -e K=v -v /a:/b --init ghcr.io/x/y:1 stdio"))
	if err != nil || c.Kind != CommandContainer || c.Image != "ghcr.io/x/y:1" || !slices.Equal(c.Env, []string{"TOKEN", "K"}) || len(c.Notes) == 0 {
		t.Errorf("docker: %+v, %v", c, err)
	}
	c, err = FromCommand(strings.Fields("env TOKEN=x npx -y a"))
	if err != nil || c.Ref.Name != "a" || !slices.Equal(c.Env, []string{"TOKEN"}) {
		t.Errorf("env: %+v, %v", c, err)
	}
	for _, note := range c.Notes {
		if strings.Contains(note, "=x") {
			t.Errorf("a note shows the value: %s", note)
		}
	}
}

// Each of these would start something that no lock can hold.
func TestFromCommandRefuses(t *testing.T) {
	for _, in := range []string{"", "npx", "npx -y", "npx -c ls", "npx --registry http://x a", "npx -y github:a/b", "npx -y a/b", "npx ./x", "npx a@^1.0.0",
		"npx -p a -p b bin", "npx --package", "npx --odd a", "uvx --from git+https://h/x bin", "uvx --with b a", "uvx --index-url http://x a", "uvx a>=1",
		"pipx run --pip-args=x a", "deno run jsr:@a/b", "deno run https://h/x.ts", "docker run -i", "npx -y a.tgz"} {
		if got, err := FromCommand(strings.Fields(in)); err == nil {
			t.Errorf("%q was read as %+v", in, got)
		}
	}
}

func FuzzFromCommand(f *testing.F) {
	f.Add("npx -y --package a -- b c")
	f.Add("uvx --from a b")
	f.Add("docker run -i -e")
	f.Add("cmd /c cmd /c env -S a=b npx")
	f.Fuzz(func(t *testing.T, line string) {
		c, err := FromCommand(strings.Fields(line))
		if err != nil {
			return
		}
		if c.Kind == CommandPackage {
			if again, err := ParseRef(c.Ref.String()); err != nil || again.Name != c.Ref.Name {
				t.Fatalf("%q gave %+v, which does not read again: %v", line, c.Ref, err)
			}
		}
	})
}
