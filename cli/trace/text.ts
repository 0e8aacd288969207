/** Short texts for tables. */

/** At most so many characters. */
export const cut = (text: string, most: number): string => ([...text].length > most ? `${[...text].slice(0, most - 1).join('')}…` : text);
/** A share in percent, without the sign. */
export const percent = (x: number): string => (Number.isNaN(x) ? 'NaN' : x > 0 && x < 0.005 ? '<1' : x < 1 && x >= 0.995 ? '>99' : String(Math.round(100 * x)));
