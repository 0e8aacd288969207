/** What can go wrong with a device, in a user's words. Shader text and the driver's own messages go to `debug` only. */
import { ExitCode, PeelError, type Diagnostic } from '../../compiler/diagnostics.ts';

export type DeviceErrorCode = 'E901' | 'E902' | 'E903' | 'E904' | 'E905';

/** E901 no adapter, E902 a limit is too small, E903 out of memory, E904 device lost, E905 the driver refuses a kernel. */
export function deviceError(code: DeviceErrorCode, message: string, hint?: string): PeelError {
  const diagnostic: Diagnostic = { code, severity: 'error', path: '', message, ...(hint === undefined ? {} : { hint }) };
  return new PeelError(ExitCode.device, [diagnostic]);
}

/** Watches a device: remembers that it was lost and the first error that no scope caught. */
export class DeviceWatch {
  private lost: string | undefined;
  private failure: string | undefined;
  private closing = false;

  constructor(readonly device: GPUDevice, private readonly debug: (text: string) => void) {
    void device.lost.then((info) => {
      this.lost = info.reason === 'destroyed' ? 'it was destroyed' : 'the driver stopped it';
      if (!this.closing) debug(`device lost: ${info.reason} ${info.message}`);
    });
    device.addEventListener('uncapturederror', (event) => {
      debug(event.error.message);
      this.failure ??= event.error.message;
    });
  }

  /** The device is about to be destroyed on purpose. */
  close(): void { this.closing = true; }

  /** Throws what has happened since the last call. `labels` are kernels that the driver's message may name. */
  check(doing: string, labels: readonly string[] = []): void {
    if (this.lost !== undefined) throw deviceError('E904', `the WebGPU device was lost while ${doing}: ${this.lost}`, 'run again, or use --device cpu');
    const failure = this.failure;
    if (failure === undefined) return;
    this.failure = undefined;
    const named = labels.find((label) => failure.includes(`"${label}"`));
    throw deviceError('E905', `the WebGPU driver refused ${named === undefined ? 'an operation' : `kernel ${named}`} while ${doing}`, 'use --device cpu');
  }

  /** Runs `work`, turning running out of memory and refused operations into errors that name `what`. */
  async guard<R>(what: string, work: () => R | Promise<R>): Promise<R> {
    const { device } = this;
    device.pushErrorScope('out-of-memory');
    device.pushErrorScope('validation');
    let result: R;
    try {
      result = await work();
    } finally {
      const [invalid, memory] = await Promise.all([device.popErrorScope(), device.popErrorScope()]).catch(() => [null, null]);
      if (memory) this.debug(memory.message);
      if (invalid) this.debug(invalid.message);
      if (memory) throw deviceError('E903', `the WebGPU device is out of memory for ${what}`, 'a shorter --context, or --device cpu');
      if (invalid) throw deviceError('E905', `the WebGPU driver refused ${what}`, 'use --device cpu');
    }
    this.check(`preparing ${what}`);
    return result;
  }
}
