export interface BenchOptions { readonly list?: boolean; readonly only?: readonly string[]; readonly rounds: number; readonly json?: boolean }
export async function bench(_options: BenchOptions): Promise<number> { return 0; }
