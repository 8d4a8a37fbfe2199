package host

import "strings"

// Installs lists the programs that install packages of one kind on this machine.
type Installs struct {
	Kind  string   // "npm", "PyPI"
	With  []string // those that were found: a path, or the name of a script
	Lacks []string // those that were not, by name
	// Manager is the machine's own package manager, such as "apt-get"; "" where none is known.
	Manager string
	// Untried says why nobody knows the rest, "" where all is known.
	Untried string
}

// Managers maps a package manager to the command that installs its packages.
var Managers = map[string]string{"apt-get": "sudo apt-get install -y", "dnf": "sudo dnf install -y", "pacman": "sudo pacman -S"}

// packageOf maps a program to its package. Any other program's package has its name.
var packageOf = map[string]map[string]string{
	"apt-get": {"node": "nodejs", "pip": "python3-pip"},
	"dnf":     {"node": "nodejs", "pip": "python3-pip"},
	"pacman":  {"node": "nodejs", "pip": "python-pip", "python3": "python"},
}

// installsCheck says whether packages of a kind can be installed. Nothing else depends on it.
func installsCheck(i Installs) Check {
	c := Check{ID: strings.ToLower(i.Kind), Name: i.Kind + " packages", State: OK, Detail: strings.Join(i.With, ", ")}
	if len(i.Lacks) == 0 {
		if i.Untried != "" {
			c.State, c.Consequence = Untold, i.Untried
		}
		return c
	}
	c.State = Limited // Missing is for what keeps servers from starting
	c.Detail = strings.TrimPrefix(c.Detail+"; not found: "+strings.Join(i.Lacks, ", "), "; ")
	c.Consequence = "no server of such a package can be installed; all others run"
	if begin, known := Managers[i.Manager]; known {
		for _, name := range i.Lacks {
			if other := packageOf[i.Manager][name]; other != "" {
				name = other
			}
			begin += " " + name
		}
		c.Fix = []string{begin}
	}
	return c
}
