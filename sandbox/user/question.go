package user

import (
	"strings"

	"mcpen/sandbox/host"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/program"
)

// FindEnv is the environment of a search for a program: PATH, and the variables that
// give version managers their version.
func (p *Person) FindEnv(at Dirs) program.FindEnv {
	env := program.FindEnv{Path: p.Getenv("PATH"), Home: at.Home, Dir: at.Cwd, Vars: map[string]string{}}
	for _, name := range program.FindVars {
		if v, ok := p.Lookup(name); ok {
			env.Vars[name] = v
		}
	}
	for _, kv := range p.Env {
		if name, v, _ := strings.Cut(kv, "="); strings.HasSuffix(name, "_VERSION") && (strings.HasPrefix(name, "ASDF_") || strings.HasPrefix(name, "MISE_")) {
			env.Vars[name] = v
		}
	}
	return env
}

// Question is the question to the host about the directories, the variables and the paths
// of a policy and a program. It names no folder that somebody else could have filled.
func (p *Person) Question(at Dirs, pol policy.Policy, prog plan.Program) host.Ask {
	ask := host.Ask{Home: at.Home, Runtime: at.Runtime, State: at.State, Config: at.Config, Bus: at.Bus, Login: at.Login,
		Env: map[string]string{}, Paths: plan.Asks(pol, prog, at.Home, at.State, at.Config, at.Runtime, at.Login.Home, at.Login.State, at.Login.Config)}
	for _, name := range plan.EnvNames(pol) {
		if v, ok := p.Lookup(name); ok {
			ask.Env[name] = v
		}
	}
	return ask
}
