/* Moves a process to the control group that it is in, by a file like
 * /proc/self/cgroup and the directory where the hierarchies are mounted. It does
 * nothing where that may be another group, or may not be done. */
void mcpen_rejoin(const char *cgroups, const char *root, int pid);
