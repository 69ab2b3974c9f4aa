/** `apt-ostree/apt`: libapt-pkg. */
export {};
