/** Invaders, a multiboot game of the Debian package grub-invaders, played with the keyboard. */
import assert from 'node:assert/strict';
import { ringside } from '../cli/ringside';
import { guestFile, readGuest } from '../support/guests';
import { PlayedGuest } from './played-guest';

/** The game waits for its next picture by reading the timer: a slower clock makes it wait with fewer instructions. */
const INSTRUCTIONS_PER_SECOND = 10_000_000;
const INVADERS = 40;
/** All formations of the invaders' dance are seen in this time. */
const DANCE_SECONDS = 3;

const count = (lines: readonly string[], letter: string): number => lines.join('').split(letter).length - 1;
/** Column of the ship's top. */
const ship = (lines: readonly string[]): number => (/^ *\/ \\$/.test(lines[24]) ? lines[23].indexOf('_') : -1);

/** Invaders may cover one another: what counts is the most that are seen at once. */
function invaders(game: PlayedGuest): number {
  let most = 0;
  for (const end = game.seconds + DANCE_SECONDS; game.seconds < end; game.run(1 / 20)) most = Math.max(most, count(game.lines, '*'));
  return most;
}

describe('Invaders', () => {
  let image: Uint8Array;
  const start = (instructionsPerSecond = INSTRUCTIONS_PER_SECOND): PlayedGuest => {
    const game = new PlayedGuest('invaders.exec', image, { instructionsPerSecond });
    return game.until('the ship', (lines) => ship(lines) >= 0, 1);
  };
  before(function () { image = readGuest(this, 'invaders.exec'); });

  it('draws the field', () => {
    const game = start();
    assert.equal(count(game.lines, '*'), INVADERS);
    assert.equal(game.lines[0], '           -*-    -*-    -*-    -*-    -*-    -*-    -*-    -*-');
    assert.deepEqual(game.lines.slice(23), [`${' '.repeat(40)}_`, `${' '.repeat(39)}/ \\`]);
    assert.equal(game.machine.registers().mode, 'protected32');
  });

  it('moves the ship as long as an arrow key is held', () => {
    const game = start();
    const middle = ship(game.lines);
    game.press('ArrowLeft', 0.3);
    const left = ship(game.lines);
    assert.ok(left < middle, game.text);
    game.run(0.3);
    assert.equal(ship(game.lines), left);
    game.press('ArrowRight', 0.6);
    assert.ok(ship(game.lines) > middle, game.text);
    game.press('ArrowRight', 3);
    assert.ok(ship(game.lines) < 80, game.text);
  });

  it('shoots, and a hit invader is gone', () => {
    const game = start();
    assert.equal(invaders(game), INVADERS);
    const shot = (lines: readonly string[]): number => lines.findIndex((line) => line.includes('|'));
    for (let shots = 0; invaders(game) === INVADERS; shots++) {
      assert.ok(shots < 10, `no shot hits:\n${game.text}`);
      game.press('Space').until('a shot', (lines) => shot(lines) >= 0, 1);
      const from = shot(game.lines);
      game.until('the shot rises', (lines) => shot(lines) < from, 1).until('the shot ends', (lines) => shot(lines) < 0, 5);
    }
    assert.ok(invaders(game) < INVADERS);
  });

  it('pauses with P and goes on with P', () => {
    const game = start().run(0.5).press('KeyP').untilText('PAUSE', 1);
    const paused = game.text;
    game.press('ArrowLeft', 0.3).run(1);
    assert.equal(game.text, paused);
    game.press('KeyP').until('the game goes on', (lines) => !lines.join().includes('PAUSE'), 1);
  });

  it('is lost when nobody plays, with the picture that another emulator shows, and ESC begins the next game', () => {
    // Slow enough for the whole game; the picture depends on the number of frames alone.
    const game = start(4_000_000).untilText('GAME OVER', 90);
    assert.deepEqual(game.lines.slice(10), [
      '                                GAME OVER',
      '      -*-           -*-         YOU  LOSE       --*-           -*-           -*-',
      '                                PRESS ESC',
      '             -*-           -*-           --*-           -*-           -*-',
      '-*-                                                                    -*-',
      '      -*-           -*-           --*-          --*-           -*-           -*-',
      '',
      '             -*-           -*-           --*-           -*-           -*-',
      '-*-                                                                    -*-',
      '      -*-           -*-           --*-          --*-           -*-           -*-',
      '', '', '',
      '                                        _',
      '                                       / \\',
    ]);
    game.press('Escape').until('a new game', (lines) => !lines.join().includes('GAME OVER') && count(lines, '*') === INVADERS, 3);
  });

  it('takes 12.5 ms for a picture, as on a PC', () => {
    // 0x100EF0: its delay, one call for each picture.
    const game = start(100_000_000);
    game.machine.setBreakpoints([0x100ef0]);
    const times: number[] = [];
    while (times.length < 10) {
      if (game.machine.run(10_000_000).kind === 'breakpoint') {
        times.push(game.seconds);
        game.machine.step(1);
      }
    }
    const intervals = times.slice(1).map((time, n) => time - times[n]).sort((a, b) => a - b);
    assert.ok(Math.abs(intervals[4] - 0.0125) < 0.0001, `${intervals}`);
  });

  it('plays the same game again when the same keys come at the same instructions', () => {
    const play = (): unknown => {
      const game = start().press('ArrowLeft', 0.21).press('Space').run(0.4).press('ArrowRight', 0.47).press('Space', 0.1).run(1.1);
      return { screen: game.machine.screen(), registers: game.machine.registers(), counters: game.machine.counters() };
    };
    assert.deepEqual(play(), play());
  });

  it('runs from the command line', async () => {
    const { path } = guestFile('invaders.exec');
    const { status, stdout, stderr } = await ringside(['run', path!, '--max-instructions', '80M', '--type', 'p']);
    assert.equal(status, 4, stderr);
    assert.match(stdout, /-\*- +-\*- +-\*-/);
    assert.match(stdout, /PAUSE\n +PRESS 'P'/);
    assert.match(stdout, /^ +_\n +\/ \\$/m);
  });
});
