package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/subject"
	"mcpen/sandbox/trial"
	"mcpen/sandbox/wholefile"
)

// tryOptions holds the command line of "try".
type tryOptions struct {
	subject.Options
	failOn trial.Level
	json   bool
	sarif  bool
	html   string
}

// installLimit is how long an install may take if nobody says so.
const installLimit = 10 * time.Minute

func (a *app) tryOptions(c *cli.Context, words []string) (o tryOptions, err error) {
	rest := c.Args().Slice()
	behind := len(words) - len(rest) - 1
	switch {
	case len(rest) == 0:
		return o, usage("mcpen try npm:NAME", "no server named")
	case behind > 0 && words[behind] == "--":
		o.Command = rest
	default:
		o.Server, o.Args = rest[0], rest[1:]
		if len(o.Args) > 0 && o.Args[0] == "--" {
			o.Args = o.Args[1:]
		} else if len(o.Args) > 0 {
			if _, err := exec.LookPath(rest[0]); err == nil {
				return o, usage("mcpen try -- "+audit.Command(rest...), "a command stands behind --, and %q does not", rest[0])
			}
			return o, usage("mcpen try "+audit.Command(rest[0])+" -- "+audit.Command(o.Args...), "a server's arguments stand behind --, and %q does not", o.Args[0])
		}
	}
	o.Call, o.Each = c.String("call"), c.Bool("each")
	if o.Watch, err = span(c, "watch"); err != nil {
		return o, err
	}
	if o.Limit, err = span(c, "limit"); err != nil {
		return o, err
	}
	if o.Install = installLimit; c.IsSet("limit") {
		o.Install = o.Limit
	}
	o.Scripts = c.Bool("scripts")
	o.json, o.sarif, o.html, o.Write = c.Bool("json"), c.Bool("sarif"), c.String("html"), c.String("write")
	o.failOn = trial.Level(c.String("fail-on"))
	switch {
	case !slices.Contains([]string{trial.CallReading, trial.CallAll, trial.CallNone}, o.Call):
		return o, usage("--call read-only, --call all or --call none", "cannot call %q", o.Call)
	case o.failOn != trial.Red && o.failOn != trial.Amber:
		return o, usage("--fail-on amber", "%q is no level to fail on", o.failOn)
	case o.Watch < 0 || o.Limit < time.Second || o.Limit > time.Hour:
		return o, usage("--limit 90s", "a trial takes a second at least and an hour at most")
	case o.Scripts && o.Server == "":
		return o, usage("mcpen try --scripts npm:NAME", "--scripts runs the install scripts of an npm package, and a command has none")
	case o.json && o.sarif:
		return o, usage("--json or --sarif", "only one document can be printed")
	}
	if o.Answer, err = answerOf(c.String("answer")); err != nil {
		return o, err
	}
	for _, kv := range c.StringSlice("env") {
		name, value, ok := strings.Cut(kv, "=")
		if !ok || name == "" {
			return o, usage("--env NAME=VALUE", "cannot set %q: it is not NAME=VALUE", kv)
		}
		o.Env = append(o.Env, plan.Env{Name: name, Value: value})
	}
	for _, n := range c.StringSlice("net") {
		if n == "all" {
			o.All = true
			continue
		}
		h, err := policy.ParseHost(n)
		if err != nil {
			return o, usage("--net api.example.com:443", "cannot let %q through: %v", n, err)
		}
		h.TLS = policy.TLSUsual
		o.Net = append(o.Net, h)
	}
	return o, nil
}

// span reads a flag that is a length of time. A number alone is of seconds.
func span(c *cli.Context, flag string) (time.Duration, error) {
	text := c.String(flag)
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 0 && seconds < 1e6 {
		return time.Duration(seconds * float64(time.Second)), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, usage("--"+flag+" 5s", "--%s takes seconds, or a time such as 500ms or 2m, and %q is none", flag, text)
	}
	return d, nil
}

// answerOf reads the one answer for every request.
func answerOf(what string) (trial.Answer, error) {
	switch what {
	case "json":
		return trial.Answer{Status: 200, Type: "application/json", Body: []byte("{}\n")}, nil
	case "404":
		return trial.Answer{Status: 404, Type: "application/json", Body: []byte(`{"error":"not found"}` + "\n")}, nil
	case "503":
		return trial.Answer{Status: 503, Type: "text/plain", Body: []byte("Service Unavailable\n")}, nil
	}
	data, err := wholefile.Read(what, policy.MaxFile)
	if err != nil {
		return trial.Answer{}, usage("--answer json, 404, 503 or a file", "cannot answer with %q: %v", what, err)
	}
	kind := "text/plain; charset=utf-8"
	switch {
	case strings.HasSuffix(what, ".json"):
		kind = "application/json"
	case strings.HasSuffix(what, ".html"):
		kind = "text/html; charset=utf-8"
	}
	return trial.Answer{Status: 200, Type: kind, Body: data}, nil
}

// placed refuses places where nothing can be written, before minutes of a trial are lost
// for them.
func (o tryOptions) placed() error {
	if _, err := os.Lstat(o.Write); o.Write != "" && err == nil {
		return usage("--write OTHER.toml", "cannot write the profile: %s is there already", o.Write)
	}
	if folder := subject.BundleFolder(o.Write); o.Write != "" && subject.IsBundle(o.Server) {
		if _, err := os.Lstat(folder); err == nil {
			return usage("--write OTHER.toml", "cannot unpack the bundle beside its profile: %s is there already", folder)
		}
	}
	for _, file := range []string{o.Write, o.html} {
		if st, err := os.Stat(filepath.Dir(file)); file != "" && (err != nil || !st.IsDir()) {
			return usage("mkdir -p "+audit.Command(filepath.Dir(file)), "cannot write %q: there is no folder %q", file, filepath.Dir(file))
		}
	}
	return nil
}
