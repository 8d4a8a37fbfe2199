/* The descriptor of the launcher's image, or -errno. The caller closes it. Not
 * to be called by two threads at a time. */
int mcpen_image(void);
