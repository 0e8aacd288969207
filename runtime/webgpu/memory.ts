/** Device buffers of a plan: one for each slot that is not a weight or a constant, the uniforms, and the uploaded weights. */
import { bytes as byteText } from '../../compiler/print-plan.ts';
import { InternalError } from '../../compiler/diagnostics.ts';
import type { BufferId } from '../../compiler/kernels/types.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';
import { deviceError, type DeviceWatch } from './errors.ts';
import type { DeviceMemory } from './executor.ts';
import type { Matrix } from './layout.ts';
import { fixedSize } from './wgsl/module.ts';
import { BufferUsage } from './usage.ts';
import type { DeviceWeights } from './weights.ts';

const align = (bytes: number): number => Math.max(16, Math.ceil(bytes / 16) * 16);

export async function createMemory(watch: DeviceWatch, plan: ExecutionPlan, weights: DeviceWeights, matrices: readonly Matrix[]): Promise<DeviceMemory> {
  const { device } = watch;
  const made: GPUBuffer[] = [...new Set([...weights.matrices.values(), ...weights.elements.values()].flat())];
  const weightBytes = made.reduce((n, b) => n + b.size, 0);
  const destroy = (): void => { for (const buffer of made) buffer.destroy(); };
  try {
    const roles = new Map(plan.buffers.map((b) => [b.id, b]));
    const slotOf = new Map(plan.placements.map((p) => [p.buffer, p.slot]));
    const slots = new Map<number, GPUBuffer>();
    for (const { slot, bytes } of plan.slots) {
      // The largest first: it is what the slot's size comes from.
      const held = plan.placements.filter((p) => p.slot === slot).sort((a, b) => b.bytes - a.bytes).map((p) => roles.get(p.buffer));
      if (!held.some((b) => b && b.role !== 'weight' && b.role !== 'constant')) continue;
      const label = held.find((b) => b)?.name ?? `slot ${slot}`;
      if (bytes > plan.target.maxBindingBytes) {
        throw deviceError('E902', `${label} needs ${byteText(bytes)} in one piece, this adapter binds at most ${byteText(plan.target.maxBindingBytes)}`, 'a shorter --context, or --device cpu');
      }
      const buffer = await watch.guard(label, () => device.createBuffer({
        label, size: align(bytes), usage: BufferUsage.storage | BufferUsage.copySource | BufferUsage.copyDestination,
      }));
      slots.set(slot, buffer);
      made.push(buffer);
    }
    const uniform = device.createBuffer({ label: 'sizes', size: 32, usage: BufferUsage.uniform | BufferUsage.copyDestination });
    made.push(uniform);
    const parts = new Map<string, GPUBuffer>();
    for (const { from, to } of matrices.filter((m) => m.split).flatMap((m) => m.parts)) {
      if (parts.has(`${from} ${to}`)) continue;
      const buffer = device.createBuffer({ label: 'part', size: 16, usage: BufferUsage.uniform | BufferUsage.copyDestination });
      device.queue.writeBuffer(buffer, 0, new Int32Array([from, to, 0, 0]));
      parts.set(`${from} ${to}`, buffer);
      made.push(buffer);
    }
    const tables = new Map<string, GPUBuffer>();
    const merged = new Map<string, GPUBuffer>();
    const need = <T>(value: T | undefined, what: string): T => {
      if (value === undefined) throw new InternalError('webgpu', `no device memory for ${what}`);
      return value;
    };
    const buffer = (id: BufferId): GPUBuffer => need(slots.get(slotOf.get(id) ?? -1), `buffer ${id}`);
    return {
      uniform, destroy, buffer, weightBytes,
      matrix: (key, part) => need(weights.matrices.get(key)?.[part], `matrix ${key}`),
      element: (id, piece) => weights.elements.get(id)?.[piece] ?? buffer(id),
      merged: (ids) => {
        const key = ids.join(' ');
        const known = merged.get(key);
        if (known) return known;
        const sizes = ids.map((id) => fixedSize(need(roles.get(id), `buffer ${id}`)) * 4);
        const buffer = device.createBuffer({ label: 'merged', size: align(sizes.reduce((a, b) => a + b, 0)), usage: BufferUsage.storage | BufferUsage.copyDestination });
        const encoder = device.createCommandEncoder();
        let at = 0;
        ids.forEach((id, n) => {
          const size = sizes[n] as number;
          encoder.copyBufferToBuffer(need(weights.elements.get(id)?.[0], `buffer ${id}`), 0, buffer, at, size);
          at += size;
        });
        device.queue.submit([encoder.finish()]);
        merged.set(key, buffer);
        made.push(buffer);
        return buffer;
      },
      table: (data) => {
        const key = data.join(' ');
        const known = tables.get(key);
        if (known) return known;
        const buffer = device.createBuffer({ label: 'table', size: align(data.byteLength), usage: BufferUsage.storage | BufferUsage.copyDestination });
        device.queue.writeBuffer(buffer, 0, Int32Array.from(data));
        tables.set(key, buffer);
        made.push(buffer);
        return buffer;
      },
      part: ({ from, to }) => need(parts.get(`${from} ${to}`), `part ${from}..${to}`),
    };
  } catch (error) {
    destroy();
    throw error;
  }
}
