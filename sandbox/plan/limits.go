package plan

import (
	"fmt"
	"slices"

	"mcpen/sandbox/policy"
)

// limits decides which mechanism holds each limit. A limit that only a cgroup can hold
// is a gap if there is no cgroup; a limit of zero was switched off explicitly.
func (c *compiler) limits() {
	l := c.pol.Limits
	if c.host.Cgroup.How == HowCgroup2 {
		c.plan.CgroupParent = c.host.Cgroup.Path
	}
	c.limit(LimitMemory, int64(l.Memory), c.cgroup("memory"), "RLIMIT_AS would stop V8 and the JVM from starting")
	pids := c.cgroup("pids")
	if pids == "" {
		pids = c.plan.ungrouped(LimitProcesses)
	}
	why := "RLIMIT_NPROC would count all of the user's processes"
	if !c.plan.Process.Counted {
		why = "RLIMIT_NPROC does not count root's processes"
	}
	c.limit(LimitProcesses, int64(l.Processes), pids, why)
	c.limit(LimitOpenFiles, int64(l.OpenFiles), HowRlimit, "")
	c.limit(LimitFileSize, int64(l.FileSize), HowRlimit, "")
	c.limit(LimitCPU, atLeastOne(l.CPU > 0, int64(l.CPU*1000)), c.cgroup("cpu"), "only a cgroup can hold it")
	c.limit(LimitCPUTime, atLeastOne(l.CPUTime > 0, l.CPUTime.Milliseconds()), HowRlimit, "")
	tmpfs := HowTmpfs
	if !c.plan.Holds(policy.LayerNamespaces) {
		tmpfs = ""
	}
	c.limit(LimitTmp, int64(l.Tmp), tmpfs, "without namespaces there is no private /tmp")
	c.limit(LimitTmpFiles, int64(l.TmpFiles), tmpfs, "without namespaces there is no private /tmp")
	c.limit(LimitConnections, int64(l.Connections), HowEgress, "")
	c.limit(LimitPerSecond, int64(l.PerSecond), HowEgress, "")
}

func (c *compiler) limit(name LimitName, value int64, how LimitHow, why string) {
	if value == 0 {
		return
	}
	if how == "" {
		if c.host.Cgroup.Why != "" && (name == LimitMemory || name == LimitProcesses || name == LimitCPU) {
			why = c.host.Cgroup.Why
		}
		c.plan.Gaps = append(c.plan.Gaps, unlimited(name, value, why, c.requires(policy.LayerLimits)))
		return
	}
	c.plan.Limits = append(c.plan.Limits, Limit{Name: name, Value: value, How: how, Required: c.requires(policy.LayerLimits)})
}

// unlimited is the gap of a limit that no mechanism holds.
func unlimited(name LimitName, value int64, why string, required bool) Gap {
	return Gap{Layer: policy.LayerLimits, Want: fmt.Sprintf("%s at most %s", name, FormatLimit(name, value)), Have: "no limit", Why: why, Required: required}
}

// ungrouped is the mechanism that holds a limit without a control group; "" if none
// does.
func (p Plan) ungrouped(name LimitName) LimitHow {
	if name == LimitProcesses && p.Process.Counted && p.Holds(policy.LayerNamespaces) {
		return HowRlimit // since Linux 5.14 RLIMIT_NPROC counts in the user namespace
	}
	return ""
}

// grouped reports whether a control group holds the limit.
func (l Limit) grouped() bool {
	return l.How == HowCgroup1 || l.How == HowCgroup2 || l.How == HowSystemd
}

// Ungrouped returns the plan for a machine that gives no control group at the start,
// although the probe found one: a user manager can go away or respond too late. A limit
// that only a group can hold becomes a gap with the given reason. ok is false if the
// plan has no limit in a group or requires one of them. The receiver does not change.
func (p Plan) Ungrouped(why string) (Plan, bool) {
	some := false
	limits := make([]Limit, 0, len(p.Limits))
	gaps := slices.Clone(p.Gaps)
	for _, l := range p.Limits {
		if !l.grouped() {
			limits = append(limits, l)
			continue
		}
		if l.Required {
			return Plan{}, false
		}
		some = true
		if l.How = p.ungrouped(l.Name); l.How != "" {
			limits = append(limits, l)
		} else {
			gaps = append(gaps, unlimited(l.Name, l.Value, why, false))
		}
	}
	p.Limits, p.Gaps, p.CgroupParent = limits, gaps, ""
	return p, some
}

// atLeastOne keeps a limit smaller than its unit from becoming zero, which means no
// limit.
func atLeastOne(on bool, n int64) int64 {
	if on {
		return max(n, 1)
	}
	return n
}

func (c *compiler) cgroup(controller string) LimitHow {
	if !c.plan.Holds(policy.LayerNamespaces) {
		return ""
	}
	for _, have := range c.host.Cgroup.Controllers {
		if have == controller {
			return c.host.Cgroup.How
		}
	}
	return ""
}

// FormatLimit formats a limit's value as a profile writes it.
func FormatLimit(name LimitName, value int64) string {
	switch name {
	case LimitMemory, LimitFileSize, LimitTmp:
		return FormatSize(value)
	case LimitCPU:
		return fmt.Sprintf("%g cores", float64(value)/1000)
	case LimitCPUTime:
		return fmt.Sprintf("%gs", float64(value)/1000)
	default:
		return fmt.Sprint(value)
	}
}

// FormatSize formats a number of bytes in the largest unit that divides it.
func FormatSize(n int64) string {
	units := []struct {
		size int64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}}
	for _, u := range units {
		if n >= u.size && n%u.size == 0 {
			return fmt.Sprintf("%d%s", n/u.size, u.name)
		}
	}
	return fmt.Sprintf("%dB", n)
}

// Limit returns a limit by name, and whether the plan has it.
func (p Plan) Limit(name LimitName) (Limit, bool) {
	for _, l := range p.Limits {
		if l.Name == name {
			return l, true
		}
	}
	return Limit{}, false
}
