/* Moves a process to the control group of version 2 that it is in, by a file like
 * /proc/self/cgroup and the directory where the hierarchy is mounted. It does
 * nothing where that may be another group, or may not be done. */
void mcpen_rejoin(const char *cgroups, const char *root, int pid);
