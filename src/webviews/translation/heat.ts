/** Steps of the heat margin: 0 for never, 5 for the most, one less for every power of ten below it. */
export const heatSteps = 5;

export function heatStep(count: number | null, most: number): number {
  if (count === null || count === 0 || most === 0) return 0;
  return Math.max(1, heatSteps - Math.floor(Math.log10(most / count)));
}
