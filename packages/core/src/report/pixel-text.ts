/**
 * Text in pixels, drawn without the fonts of the system, so that a picture is the same on every machine.
 * Letters are 5 wide and 7 high, with one line below; each is five columns from the left, two hexadecimal digits a column, the lowest bit on top.
 */

/** From the space to the tilde. */
const GLYPHS = `
  0000000000 00005F0000 0007000700 147F147F14 242A7F2A12 2313086462 3649552250 0000070000 001C224100 0041221C00 14083E0814 08083E0808 0050300000 0808080808 0060600000 2010080402
  3E5149453E 00427F4000 4261514946 2141454B31 1814127F10 2745454539 3C4A494930 0171090503 3649494936 064949291E 0036360000 0056360000 0814224100 1414141414 0041221408 0201510906
  324979413E 7E1111117E 7F49494936 3E41414122 7F4141221C 7F49494941 7F09090901 3E4149497A 7F0808087F 00417F4100 2040413F01 7F08142241 7F40404040 7F020C027F 7F0408107F 3E4141413E
  7F09090906 3E4151215E 7F09192946 4649494931 01017F0101 3F4040403F 1F2040201F 3F4038403F 6314081463 0708700807 6151494543 007F414100 0204081020 0041417F00 0402010204 4040404040
  0001020400 2054545478 7F48444438 3844444428 384444487F 3854545418 087E090102 18A4A4A47C 7F08040478 00447D4000 4080847D00 7F10284400 00417F4000 7C04180478 7C08040478 3844444438
  FC24242418 18242418FC 7C08040408 4854545420 043F444020 3C4040207C 1C2040201C 3C4030403C 4428102844 1CA0A0A07C 4464544C44 0008364100 00007F0000 0041360800 1008081008
`
  .trim()
  .split(/\s+/)
  .map((glyph) => glyph.match(/../g)!.map((column) => Number.parseInt(column, 16)));

const ADVANCE = 6;
const LINE = 11;
const FIRST = " ".charCodeAt(0);

/** Size in pixels of lines of text, each letter's pixel drawn as `scale` x `scale`. */
export function textSize(lines: readonly string[], scale: number): { width: number; height: number } {
  const longest = Math.max(0, ...lines.map((line) => line.length));
  return { width: longest * ADVANCE * scale, height: lines.length * LINE * scale };
}

/** Breaks text at spaces into lines of at most `width` pixels; a longer word stands alone. */
export function wrapText(text: string, width: number, scale: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = lines.length > 0 ? `${lines.at(-1)} ${word}` : word;
    if (lines.length > 0 && textSize([longer], scale).width <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** Calls `ink` for every pixel of one line whose upper left corner is at (top, left). Unknown letters become "?". */
export function drawText(
  line: string,
  top: number,
  left: number,
  scale: number,
  ink: (y: number, x: number) => void,
): void {
  [...line].forEach((letter, position) => {
    const glyph = GLYPHS[letter.charCodeAt(0) - FIRST] ?? GLYPHS["?".charCodeAt(0) - FIRST]!;
    glyph.forEach((column, x) => {
      for (let y = 0; y < 8; y++)
        if ((column >> y) & 1)
          for (let dy = 0; dy < scale; dy++)
            for (let dx = 0; dx < scale; dx++)
              ink(top + y * scale + dy, left + (position * ADVANCE + x) * scale + dx);
    });
  });
}
