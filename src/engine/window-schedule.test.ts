import { describe, expect, it } from 'vitest';
import { type SchedulePlace, WindowSchedule } from './window-schedule.js';

describe('whose window is next', () => {
  it('is that of the listener who has heard nothing, while the others have enough', () => {
    const { places, next } = scheduleOf({ playing: Date.now() + 5000, waiting: null });
    expect(next()).toBe('waiting');
    places.waiting?.gave(400, 20);
    expect(next()).toBe('waiting'); // 0.4 s left against 5 s
    places.waiting?.gave(8000, 20);
    expect(next()).toBe('playing');
  });

  it('is that of a listener about to run dry, before one who waits for the first sound', () => {
    expect(scheduleOf({ waiting: null, dry: Date.now() + 5 }).next()).toBe('dry');
    expect(scheduleOf({ waiting: null, late: Date.now() - 500 }).next()).toBe('late');
  });

  it('is that of the one who waits longest among those who have heard nothing', () => {
    const schedule = new WindowSchedule();
    const first = schedule.enter(null, () => true);
    const second = schedule.enter(null, () => true);
    expect([first.isNext(), second.isNext()]).toEqual([true, false]);
  });

  it('is nobody’s who has no window to compute, or has left', () => {
    const schedule = new WindowSchedule();
    let ready = false;
    const idle = schedule.enter(null, () => ready);
    const other = schedule.enter(Date.now() + 9000, () => true);
    expect([idle.isNext(), other.isNext()]).toEqual([false, true]);
    ready = true;
    expect([idle.isNext(), other.isNext()]).toEqual([true, false]);
    idle.leave();
    expect([idle.isNext(), other.isNext()]).toEqual([false, true]);
  });

  it('knows what the listener has still to hear who runs dry first, and that one hears nothing', () => {
    const schedule = new WindowSchedule();
    schedule.enter(null, () => true);
    expect(schedule.leastHeadroomMs).toBeNull();
    schedule.enter(Date.now() + 9000, () => true);
    expect(schedule.leastHeadroomMs).toBeGreaterThan(8000);
    const late = schedule.enter(Date.now() - 700, () => true);
    expect(schedule.leastHeadroomMs).toBeLessThanOrEqual(-700);
    late.leave();
    expect(schedule.leastHeadroomMs).toBeGreaterThan(8000);
  });

  it('knows how much the listener has not heard yet', () => {
    const place = new WindowSchedule().enter(null, () => true);
    expect(place.headroomMs()).toBeNull();
    place.gave(60_000, 10);
    expect(place.headroomMs()).toBeGreaterThan(30_000);
    expect(place.headroomMs()).toBeLessThanOrEqual(60_000);
  });
});

function scheduleOf(entries: Record<string, number | null>): {
  places: Record<string, SchedulePlace>;
  next: () => string | undefined;
} {
  const schedule = new WindowSchedule();
  const places = Object.fromEntries(
    Object.entries(entries).map(([name, playedOutMs]) => [name, schedule.enter(playedOutMs, () => true)]),
  );
  return { places, next: () => Object.keys(places).find((name) => places[name]?.isNext()) };
}
