/** Assembly text becomes a string in the bundle. */
declare module '*.asm' {
  const text: string;
  export = text;
}
declare module '*.inc' {
  const text: string;
  export = text;
}
