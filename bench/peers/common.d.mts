export interface Options {
  readonly model: string; readonly threads: number; readonly prompts: number[]; readonly pasts: number[]; readonly decode: number; readonly rounds: number;
  readonly width?: string; readonly tokens?: string; readonly provider?: string; readonly check?: string; readonly probe?: string;
  readonly texts?: string; readonly logits?: string; readonly context?: string; readonly device?: string; readonly exact?: string; readonly against?: string;
}
export function options(): Options;
export function promptIds(count: number, round: number): number[];
export const checkTokens: number;
export function measure(
  o: Options, info: object, run: { start: (ids: number[]) => Promise<number>; next: (token: number) => Promise<number>; end?: () => Promise<void> }, begun: number,
): Promise<void>;
export function print(result: object): void;
