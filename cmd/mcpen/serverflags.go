package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox/catalog"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
)

// serverFlags choose a server and say how its profile is filled in.
func serverFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "profile", Usage: "a profile's `NAME` or path, for the command behind --"},
		&cli.StringFlag{Name: "workspace", Usage: "the `DIR` that ${workspace} stands for (default: where mcpen was started)"},
		setFlag(),
		&cli.StringSliceFlag{Name: "pass", Usage: "a variable that the server gets, by `NAME`, where its profile says nothing of it"},
		&cli.StringSliceFlag{Name: "secret", Usage: "the same for one that nobody is shown: `NAME`, or NAME=keyring:SERVICE/NAME"},
		&cli.StringFlag{Name: "baseline", Usage: "a profile `FILE` that no other may go beyond, besides " + filepath.Join(machine, catalog.BaselineName) + " where that exists"},
		&cli.StringSliceFlag{Name: "without", Usage: "do without a `LAYER` (namespaces, landlock, seccomp): said at the start and in the log"},
	}
}

func setFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "set", Usage: "a parameter of the profile, as `name=value`; may be repeated"}
}

// noLayer is the error of a layer that is none. It offers the layer that was meant, and
// never another one to do without.
func noLayer(word, help string) error {
	var names []string
	for _, l := range policy.DefaultLayers() {
		names = append(names, string(l))
	}
	return usage(cmp.Or(policy.DidYouMean(word, names), help), "cannot do without %q: it is no layer", word)
}

// choose reads the command line. words are the process's arguments: cli removes a
// leading "--", and with it the difference between "run node" and "run -- node".
func choose(c *cli.Context, words []string) (server.Words, error) {
	ch := server.Words{Profile: c.String("profile"), Workspace: c.String("workspace"), Baseline: c.String("baseline")}
	for _, w := range c.StringSlice("without") {
		if !slices.Contains(policy.DefaultLayers(), policy.Layer(w)) {
			return ch, noLayer(w, "mcpen run --help")
		}
		ch.Without = append(ch.Without, policy.Layer(w))
	}
	var err error
	ch.Pass = c.StringSlice("pass")
	if ch.Secrets, err = secretRefs(c.StringSlice("secret")); err != nil {
		return ch, err
	}
	rest := c.Args().Slice()
	behind := len(words) - len(rest) - 1
	switch {
	case len(rest) == 0:
		return ch, usage("mcpen "+c.Command.Name+" -- COMMAND", "no server named")
	case behind > 0 && words[behind] == "--":
		ch.Command = rest
	case ch.Profile != "":
		return ch, usage(fmt.Sprintf("mcpen %s --profile %s -- %s", c.Command.Name, ch.Profile, strings.Join(rest, " ")), "--profile needs a command behind --")
	default:
		ch.Profile = rest[0]
		ch.Args = rest[1:]
		if len(ch.Args) > 0 && ch.Args[0] == "--" {
			ch.Args = ch.Args[1:]
		} else if len(ch.Args) > 0 {
			return ch, usage(fmt.Sprintf("mcpen %s %s -- %s", c.Command.Name, rest[0], strings.Join(ch.Args, " ")), "a server's arguments stand behind --, and %q does not", ch.Args[0])
		}
	}
	ch.Params, err = parameters(c.StringSlice("set"))
	return ch, err
}

// secretRefs reads the values of --secret. They may name only sources that run nothing:
// a command line may be a repository's.
func secretRefs(words []string) (map[string]string, error) {
	refs := map[string]string{}
	for _, s := range words {
		name, ref, ok := strings.Cut(s, "=")
		if !ok {
			ref = "?env:" + name
		}
		if kind, _, _ := strings.Cut(ref, ":"); name == "" || kind != "env" && kind != "?env" && kind != "keyring" {
			return nil, usage("--secret NAME=keyring:mcpen/NAME", "cannot take the secret of %q from there: it is neither NAME, NAME=env:NAME nor NAME=keyring:SERVICE/NAME", name)
		}
		refs[name] = ref
	}
	return refs, nil
}

// parameters reads the values of --set.
func parameters(words []string) (map[string][]string, error) {
	params := map[string][]string{}
	for _, s := range words {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, usage("--set name=value", "cannot set %q: it is not name=value", s)
		}
		params[name] = append(params[name], value)
	}
	return params, nil
}
