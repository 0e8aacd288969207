/** Stop strings in a text that comes in pieces: what may be the beginning of one is held back until it is decided. */

export class StopStrings {
  private held = '';
  private readonly longest: number;

  /** `stops`: not empty each. */
  constructor(private readonly stops: readonly string[]) {
    this.longest = Math.max(0, ...stops.map((s) => s.length));
  }

  /** The text that is certain not to belong to a stop string; `stop`: the one that was found, after which there is no more. */
  push(piece: string): { readonly text: string; readonly stop?: string } {
    const all = this.held + piece;
    let at = all.length, found: string | undefined;
    for (const stop of this.stops) {
      const index = all.indexOf(stop);
      // The first in the text; of two that begin at the same place, the longer.
      if (index >= 0 && (index < at || (index === at && stop.length > (found?.length ?? 0)))) { at = index; found = stop; }
    }
    if (found !== undefined) {
      this.held = '';
      return { text: all.slice(0, at), stop: found };
    }
    let keep = Math.min(all.length, this.longest - 1);
    while (keep > 0 && !this.stops.some((stop) => stop.startsWith(all.slice(all.length - keep)))) keep--;
    this.held = keep > 0 ? all.slice(all.length - keep) : '';
    return { text: all.slice(0, all.length - this.held.length) };
  }

  /** What was held back, at the end of the text. */
  end(): string {
    const { held } = this;
    this.held = '';
    return held;
  }
}
