/** Files that become strings in the bundle. */
declare module '*.asm' {
  const text: string;
  export = text;
}
declare module '*.inc' {
  const text: string;
  export = text;
}
declare module '*.md' {
  const text: string;
  export = text;
}
