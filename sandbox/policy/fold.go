package policy

import "slices"

// fold applies a child's settings to the inherited ones. Parse documents the rules.
func (b *body) fold(c body) {
	b.foldServer(c)
	b.read.extend(c.read)
	b.write.extend(c.write)
	b.deny.extend(c.deny)
	b.unprotect.extend(c.unprotect)
	b.protect.extend(c.protect)
	b.allow.extend(c.allow)
	b.listen.extend(c.listen)
	b.proxy.over(c.proxy)
	b.connect.extend(c.connect)
	b.foldEnv(c)
	b.tools.extend(c.tools)
	b.prompts.extend(c.prompts)
	b.resources.extend(c.resources)
	b.foldRules(c.rules)
	b.scripts.extend(c.scripts)
	b.build.extend(c.build)
	b.foldRequire(c)
	b.foldValues(c)
}

// foldRequire lets the child override its parents: the child may go without a layer
// that they require, or require one that they go without.
func (b *body) foldRequire(c body) {
	except(&b.layers, c.without)
	except(&b.without, c.layers)
	b.layers.extend(c.layers)
	b.without.extend(c.without)
}

func (b *body) foldServer(c body) {
	if c.command.set || c.pkg.set {
		b.command, b.pkg, b.args = c.command, c.pkg, c.args
	} else {
		b.args.extend(c.args)
	}
	b.dir.over(c.dir)
}

func (f *filter) extend(c filter) {
	f.allow.extend(c.allow)
	f.deny.extend(c.deny)
}

func (b *body) foldEnv(c body) {
	own := make(map[string]bool, len(c.env))
	for _, v := range c.env {
		own[v.name] = true
	}
	b.env = slices.DeleteFunc(slices.Clone(b.env), func(v variable) bool { return own[v.name] })
	b.env = append(b.env, c.env...)
	if b.envTables == nil {
		b.envTables = make(map[envKind]Pos)
	}
	for kind, at := range c.envTables {
		b.envTables[kind] = at
	}
}

func (b *body) foldRules(rules []ToolRule) {
	own := make(map[string]bool, len(rules))
	for _, r := range rules {
		own[r.Tool] = true
	}
	b.rules = slices.DeleteFunc(slices.Clone(b.rules), func(r ToolRule) bool { return own[r.Tool] })
	b.rules = append(b.rules, rules...)
}

func (b *body) foldValues(c body) {
	b.pins.over(c.pins)
	b.except.extend(c.except)
	b.client.fold(c.client)
	b.findings.over(c.findings)
	b.results.over(c.results)
	b.validate.over(c.validate)
	b.memory.over(c.memory)
	b.processes.over(c.processes)
	b.openFiles.over(c.openFiles)
	b.fileSize.over(c.fileSize)
	b.cpu.over(c.cpu)
	b.cpuTime.over(c.cpuTime)
	b.tmp.over(c.tmp)
	b.tmpFiles.over(c.tmpFiles)
	b.pty.over(c.pty)
	b.connections.over(c.connections)
	b.perSecond.over(c.perSecond)
	b.maxLine.over(c.maxLine)
	b.finish.over(c.finish)
	b.grace.over(c.grace)
	b.arguments.over(c.arguments)
	b.files.over(c.files)
	b.onError.over(c.onError)
	b.minAge.over(c.minAge)
	b.python.over(c.python)
}

func foldParams(inherited, own []Param) []Param {
	again := make(map[string]bool, len(own))
	for _, p := range own {
		again[p.Name] = true
	}
	out := slices.DeleteFunc(slices.Clone(inherited), func(p Param) bool { return again[p.Name] })
	return append(out, own...)
}

// except removes another list's layers from l.
func except(l *list[opt[Layer]], other list[opt[Layer]]) {
	l.items = slices.DeleteFunc(slices.Clone(l.items), func(o opt[Layer]) bool {
		return slices.ContainsFunc(other.items, func(c opt[Layer]) bool { return c.v == o.v })
	})
}
