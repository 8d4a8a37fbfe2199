// Command client drives any MCP server on stdio and prints the conversation in a
// readable form.
//
//	client [-list] [-call TOOL[=JSON]]… [-allowed TOOL[=JSON]]… [-refused TOOL[=JSON]]… -- COMMAND [ARGS…]
//
// JSON is an object, the arguments. The exit code is 0 if the server answered every
// call, and answered those of -allowed with success and those of -refused with failure.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// toolCall is one tools/call of the command line.
type toolCall struct {
	tool      string
	arguments string // JSON
	expect    string // "ok", "error", or ""
}

// calls is a repeatable flag.
type calls struct {
	list   *[]toolCall
	expect string
}

func (c calls) String() string { return "" }

// Set takes TOOL or TOOL=JSON.
func (c calls) Set(s string) error {
	tool, arguments, ok := strings.Cut(s, "=")
	if !ok {
		arguments = "{}"
	}
	*c.list = append(*c.list, toolCall{tool, arguments, c.expect})
	return nil
}

// run is main without the process: args are those after the program's name.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: client [-list] [-call TOOL[=JSON]]… [-allowed TOOL[=JSON]]… [-refused TOOL[=JSON]]… -- COMMAND [ARGS…]")
		flags.PrintDefaults()
	}
	var todo []toolCall
	flags.Var(calls{&todo, ""}, "call", "call a tool")
	flags.Var(calls{&todo, "ok"}, "allowed", "call a tool that has to succeed")
	flags.Var(calls{&todo, "error"}, "refused", "call a tool that has to fail")
	list := flags.Bool("list", false, "list the tools")
	colour := flags.Bool("colour", false, "use colour")
	timeout := flags.Duration("timeout", 60*time.Second, "how long one answer may take")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return 2
	}
	p := printer{out: stdout, colour: *colour}
	s, err := start(ctx, flags.Args(), *timeout, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "client: %v\n", err)
		return 1
	}
	err = converse(s, p, *list, todo)
	code, closeErr := s.close()
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "client: %v\n", err)
		return 1
	case closeErr != nil:
		fmt.Fprintf(stderr, "client: %v\n", closeErr)
		return 1
	case code != 0:
		fmt.Fprintf(stderr, "client: the server ended with code %d\n", code)
		return 1
	}
	return 0
}

// converse says hello, lists, and calls, in this order.
func converse(s *session, p printer, list bool, todo []toolCall) error {
	hello, err := s.initialize()
	if err != nil {
		return err
	}
	p.hello(hello)
	if list {
		tools, err := s.tools()
		if err != nil {
			return err
		}
		p.tools(tools)
	}
	var wrong []string
	for _, c := range todo {
		text, failed, err := s.call(c.tool, c.arguments)
		if err != nil {
			return err
		}
		p.call(c, text, failed)
		if c.expect == "ok" && failed || c.expect == "error" && !failed {
			wrong = append(wrong, c.tool+" "+c.arguments)
		}
	}
	if wrong != nil {
		return fmt.Errorf("not as expected: %s", strings.Join(wrong, "; "))
	}
	return nil
}
