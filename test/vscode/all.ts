/** Every test file of the suite, in the order in which they run; the bundler follows this list. */
import './activation.test';
import './manifest.test';
import './language.test';
import './debugging.test';
import './views.test';
import './disks.test';
import './translation.test';
import './guests.test';
import './linux.test';
import './virtio.test';
import './samples.test';
