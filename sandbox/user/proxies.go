package user

import (
	"fmt"
	"strings"

	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// Proxies reads the proxies of the environment. The error is of the first variable that
// names none that can be used; the others count.
func (p *Person) Proxies() (out plan.Proxies, bad error) {
	out = plan.Proxies{Except: p.either("NO_PROXY").value}
	for _, way := range []struct {
		to    *plan.Proxy
		names []string
	}{{&out.HTTPS, []string{"HTTPS_PROXY", "ALL_PROXY"}}, {&out.HTTP, []string{"HTTP_PROXY", "ALL_PROXY"}}} {
		for _, name := range way.names {
			said := p.either(name)
			if said.value == "" {
				continue
			}
			via, login, err := policy.ParseProxy(said.value)
			if err != nil {
				if bad == nil {
					bad = fmt.Errorf("cannot use %s: it %w", said.name, err)
				}
				continue
			}
			*way.to = plan.Proxy{Via: via, At: said.name, Login: plan.Opaque(login)}
			break
		}
	}
	return out, bad
}

// assigned is a variable of the environment.
type assigned struct{ name, value string }

// either is a variable in capitals or in small letters, whichever is set: programs
// take both.
func (p *Person) either(name string) assigned {
	for _, n := range []string{name, strings.ToLower(name)} {
		if v := strings.TrimSpace(p.Getenv(n)); v != "" {
			return assigned{n, v}
		}
	}
	return assigned{name: name}
}
